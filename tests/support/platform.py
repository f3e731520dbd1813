"""A platform in this process: the one of the testing kit."""

from pegboard.testing.platform import PASSWORD, Account, TestPlatform

__all__ = ("PASSWORD", "Account", "TestPlatform")
