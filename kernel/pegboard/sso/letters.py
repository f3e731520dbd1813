"""What single sign-on writes to people."""

from pegboard.mail.message import Message

__all__ = ("identity_linked", "identity_unlinked")

_ALARM = (
    "If this was not you, somebody else may be using your account: ask for a new password at once (“forgotten"
    " password”), which logs everybody out, and tell the marketplace's administrator."
)


def identity_linked(to: str, market: str, provider: str) -> Message:
    """There is another way in."""
    text = f"From now on you can log in to your account at {market} by {provider}."
    return Message(
        to=to, kind="identity_linked", subject=f"{market}: another way to log in", text=f"{text}\n\n{_ALARM}\n"
    )


def identity_unlinked(to: str, market: str, provider: str) -> Message:
    """A way in is gone."""
    text = f"A log-in by {provider} was removed from your account at {market}: nobody can log in by it any more."
    return Message(
        to=to, kind="identity_unlinked", subject=f"{market}: a way to log in is gone", text=f"{text}\n\n{_ALARM}\n"
    )
