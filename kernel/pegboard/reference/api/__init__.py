"""The SDK's public API: what it is, what changed since a release, and whether the version says so."""
