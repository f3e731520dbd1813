"""What is written to people about their second factors. `market` is the marketplace's name."""

from pegboard.factors.recovery import LOW
from pegboard.mail.message import Message

__all__ = (
    "factor_added",
    "factor_removed",
    "factors_reset",
    "guessed",
    "passkey_suspect",
    "recovery_code_used",
    "recovery_codes_replaced",
)

_ALARM = (
    "If this was not you, somebody else may be using your account: log in, end all other sessions, choose another"
    " password, and tell the marketplace's administrator."
)


def factor_added(to: str, market: str, what: str) -> Message:
    """The account has a second factor more. `what` is it, with its article."""
    text = f"Your account at {market} has {what} as a second factor from now on."
    return _letter(to, "factor_added", f"{market}: a second factor was added", text, _ALARM)


def factor_removed(to: str, market: str, what: str) -> Message:
    """The account has a second factor less."""
    text = f"Your account at {market} does not have {what} as a second factor any more."
    return _letter(to, "factor_removed", f"{market}: a second factor was removed", text, _ALARM)


def factors_reset(to: str, market: str) -> Message:
    """An administrator has removed all."""
    text = (
        f"An administrator of {market} has removed all second factors of your account, and you were logged out"
        " everywhere. Your password is as it was: log in with it, and set up a second factor again."
    )
    alarm = "If you did not ask for this, tell the marketplace's administrator."
    return _letter(to, "factors_reset", f"{market}: your second factors were removed", text, alarm)


def recovery_codes_replaced(to: str, market: str) -> Message:
    """There are new recovery codes."""
    text = f"Your account at {market} has new recovery codes. The earlier ones are worth nothing any more."
    return _letter(to, "recovery_codes_replaced", f"{market}: you have new recovery codes", text, _ALARM)


def recovery_code_used(to: str, market: str, left: int) -> Message:
    """Somebody came in with one."""
    text = f"A recovery code of your account at {market} was used. You have {left} left."
    hint = ("It is time for new ones: log in and ask for them.",) if left <= LOW else ()
    return _letter(to, "recovery_code_used", f"{market}: a recovery code was used", text, *hint, _ALARM)


def passkey_suspect(to: str, market: str, label: str) -> Message:
    """Two authenticators may hold the same key."""
    text = (
        f"Somebody tried to use your passkey “{label}” at {market}, and was refused: it has signed before what it says"
        " to sign now, so there may be a copy of it. Remove this passkey, and add another."
    )
    return _letter(to, "passkey_suspect", f"{market}: a passkey of yours may have been copied", text)


def guessed(to: str, market: str) -> Message:
    """Somebody got past the first factor, and not past the second."""
    text = (
        f"Somebody has got past your password at {market}, or past your other way to log in, and has then failed many"
        " times to prove your second factor. They have to wait now, longer each time."
    )
    alarm = "If this was not you, choose another password at once: somebody knows this one."
    return _letter(to, "second_factor_guessed", f"{market}: somebody tries to guess your second factor", text, alarm)


def _letter(to: str, kind: str, subject: str, *paragraphs: str) -> Message:
    return Message(to=to, kind=kind, subject=subject, text="\n\n".join(paragraphs) + "\n")
