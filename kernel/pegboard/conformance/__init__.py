"""Judges a plugin by published rules: what a good one does, in three tiers. `pegboard plugins check` is its command."""
