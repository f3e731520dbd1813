"""The platform for tests, in this process on real servers. `pegboard_sdk.testing` finds it by its entry point."""
