"""What keeps the platform from starting, in words for the person who wants it to start."""

__all__ = ("StartError",)


class StartError(Exception):
    """The platform can't start; the message is one line that says why and what to do."""
