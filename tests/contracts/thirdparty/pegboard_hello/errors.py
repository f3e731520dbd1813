"""What greetings refuse."""

from pegboard_sdk.errors import InvalidInput

__all__ = ("GreetingToSelf",)


class GreetingToSelf(InvalidInput):
    """Somebody greets themselves."""

    code = "hello.greeting_to_self"
