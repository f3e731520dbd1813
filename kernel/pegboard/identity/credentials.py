"""What is an e-mail address, and what is a password that may be chosen."""

import re

from pegboard_sdk.errors import FieldError, InvalidInput

__all__ = ("EMAIL_MAX", "PASSWORD_MAX", "check_password", "normal_email")

EMAIL_MAX = 254
"""RFC 5321, 4.5.3.1.3, less the angle brackets."""

PASSWORD_MAX = 128

# What browsers accept in <input type=email> (HTML Living Standard, "valid email address"), with the local part's 64
# octets of RFC 5321. Whether the address exists only a message to it can tell.
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


def normal_email(text: str) -> str:
    """The address without white space around it, its domain in lower case. The local part stays as its owner writes it.

    Raises:
        InvalidInput: not an e-mail address.
    """
    email = text.strip()
    if len(email) > EMAIL_MAX or not _EMAIL.fullmatch(email):
        detail = "This is not an e-mail address."
        raise InvalidInput(detail, errors=[FieldError("/email", detail)])
    local, _, domain = email.rpartition("@")
    return f"{local}@{domain.lower()}"


def check_password(password: str, *, email: str, min_length: int) -> None:
    """Refuse a password that is too short, too long or easily guessed (NIST SP 800-63B, 3.1.1.2: no composition rules).

    Raises:
        InvalidInput: it may not be chosen; `errors` says why.
    """
    if len(password) < min_length:
        detail = f"Choose a password of at least {min_length} characters; several words make a good one."
    elif len(password) > PASSWORD_MAX:
        detail = f"A password has at most {PASSWORD_MAX} characters."
    elif password.strip().lower() in (email.lower(), email.lower().partition("@")[0]):
        detail = "The password must not be the e-mail address."
    elif len(set(password)) < 4:
        detail = "The password must not be a few characters over and over."
    else:
        return
    raise InvalidInput(detail, errors=[FieldError("/password", detail)])
