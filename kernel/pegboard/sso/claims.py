"""Reading what providers say about people: nothing of it is trusted to have a shape."""

from typing import Any

from pegboard_sdk.errors import InvalidInput

from pegboard.identity.credentials import normal_email

__all__ = ("checked_email", "display_name", "texts_of")

_MOST = 200
_LONGEST = 300


def checked_email(address: Any, verified: Any) -> str | None:
    """The address, if the provider says that it has checked it. Some say so in words: Apple, Cognito."""
    if (verified is not True and verified != "true") or not isinstance(address, str):
        return None
    try:
        return normal_email(address)
    except InvalidInput:
        return None


def texts_of(value: Any) -> list[str]:
    """A claim that is a text or a list of texts."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str) and len(one) <= _LONGEST][:_MOST]


def display_name(name: str, email: str) -> str:
    """A name that others may see: the provider's, made printable, else what stands before the `@`."""
    printable = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return (printable or email.partition("@")[0])[:100].strip()
