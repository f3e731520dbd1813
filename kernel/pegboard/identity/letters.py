"""What identity writes to people.

A letter with a token goes to one address.
"""

from pegboard.identity.markets import Market
from pegboard.mail.message import Message

__all__ = (
    "address_asked_for",
    "address_changed",
    "confirm_address",
    "known_address",
    "password_changed",
    "reset_password",
    "session_stolen",
    "verify_address",
)

_NOT_YOU = "If this was not you, do nothing: without this message nobody can go on."
_ALARM = (
    "If this was not you, somebody else may be using your account: ask for a new password at once (“forgotten"
    " password”), which logs everybody out, and tell the marketplace's administrator."
)


def verify_address(to: str, market: Market, token: str) -> Message:
    """After a registration: prove that you read mail here."""
    text = f"Somebody, most likely you, registered this address at {market.name}. To confirm it:"
    subject = f"{market.name}: confirm your e-mail address"
    return _letter(to, "verify_email", subject, text, _how(market.link, "verify_email", token), _NOT_YOU)


def known_address(to: str, market: Market) -> Message:
    """After a registration of, or a change to, an address that has an account: only its owner is told so."""
    text = (
        f"Somebody, most likely you, wanted to use this address for an account at {market.name}. You have one already:"
        " log in, or ask for a new password if you have forgotten yours. If this was not you, do nothing."
    )
    return _letter(to, "known_address", f"{market.name}: you have an account already", text)


def reset_password(to: str, market: Market, token: str) -> Message:
    """Choose another password."""
    text = f"Somebody, most likely you, has forgotten the password of your account at {market.name}. To choose another:"
    subject = f"{market.name}: choose another password"
    return _letter(to, "reset_password", subject, text, _how(market.link, "reset_password", token), _NOT_YOU)


def confirm_address(to: str, market: Market, token: str) -> Message:
    """To the new address: prove that you read mail here."""
    text = f"Somebody, most likely you, wants to use this address for an account at {market.name}. To confirm it:"
    subject = f"{market.name}: confirm your new e-mail address"
    return _letter(to, "change_email", subject, text, _how(market.link, "change_email", token), _NOT_YOU)


def address_asked_for(to: str, market: Market) -> Message:
    """To the old address: another one was asked for."""
    text = (
        f"Somebody who is logged in as you has asked to use another e-mail address for your account at {market.name}."
    )
    return _letter(to, "address_asked_for", f"{market.name}: your e-mail address is to be changed", text, _ALARM)


def address_changed(to: str, market: Market) -> Message:
    """To the old address: it is the account's no more."""
    text = (
        f"Your account at {market.name} has another e-mail address now; this one is of no use for logging in any more."
        " If this was not you, tell the marketplace's administrator at once."
    )
    return _letter(to, "address_changed", f"{market.name}: your e-mail address was changed", text)


def password_changed(to: str, market: Market) -> Message:
    """The password is another."""
    text = f"The password of your account at {market.name} was changed, and your other sessions were ended."
    return _letter(to, "password_changed", f"{market.name}: your password was changed", text, _ALARM)


def session_stolen(to: str, market: Market, where: str) -> Message:
    """A refresh token was used twice: two parties have it. `where` is what the session's owner knows it by."""
    text = (
        f"A session of yours at {market.name} ({where}) was ended, because its secret was used twice: it may have been"
        " stolen. Log in again, choose another password unless you know that an app of yours was at fault, and see"
        " which sessions are open."
    )
    return _letter(to, "session_stolen", f"{market.name}: a session was ended for safety", text)


def _how(link: str, kind: str, token: str) -> str:
    if link:
        return link.replace("{kind}", kind).replace("{token}", token)
    return f"Enter this code: {token}"


def _letter(to: str, kind: str, subject: str, *paragraphs: str) -> Message:
    return Message(to=to, kind=kind, subject=subject, text="\n\n".join(paragraphs) + "\n")
