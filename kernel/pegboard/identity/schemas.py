"""What identity's routes take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from pegboard.factors.schemas import CredentialRequest
from pegboard.identity.credentials import EMAIL_MAX, PASSWORD_MAX

__all__ = (
    "Account",
    "AccountKind",
    "BrowserSession",
    "Challenge",
    "EmailAddress",
    "FreshToken",
    "LogIn",
    "LogInSession",
    "MessageSent",
    "OneTimeToken",
    "PasswordChange",
    "PasswordReset",
    "Proof",
    "RefreshRequest",
    "Register",
    "Registered",
    "Roles",
    "Status",
    "StatusChange",
    "TokenPair",
)

_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
Email = Annotated[
    str, msgspec.Meta(min_length=3, max_length=EMAIL_MAX, pattern=_NO_CONTROLS, description="An e-mail address.")
]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=PASSWORD_MAX, description="The password.")]
DisplayName = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$",
        description="The name that others see.",
    ),
]
RefreshText = Annotated[str, msgspec.Meta(min_length=1, max_length=128, description="The refresh token.")]
TokenText = Annotated[str, msgspec.Meta(min_length=1, max_length=128, description="The token of the message.")]
Status = Literal["active", "disabled"]
AccountKind = Literal["person", "service"]
Role = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,62}$", description="A role's name.")]


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new account. The password's least length is the administrator's choice, 12 characters unless changed."""

    email: Email
    password: Password
    display_name: DisplayName


class LogIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credentials. With `cookies` a browser gets the tokens as cookies, and a CSRF token in the answer. A trusted
    device sends the `device_token` that it got; a browser has it in a cookie.
    """

    email: Email
    password: Password
    cookies: bool = False
    device_token: TokenText | None = None


class RefreshRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refresh token, to be exchanged for a new pair. A browser with cookies sends `{}`: it has it in one of them."""

    refresh_token: RefreshText | None = None


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """Send `access_token` as `Authorization: Bearer …`; when it expires, exchange `refresh_token`. Times in seconds.
    With `device_token`, where there is one, this device logs in by the password alone.
    """

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_in: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # RFC 6750's name of the kind
    device_token: str | msgspec.UnsetType = msgspec.UNSET


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be proved, another factor say: answer `challenge` by one of `methods` (`totp`, `passkey`,
    `recovery_code`) within `expires_in` seconds. `passkey` is what the browser needs for one.
    """

    challenge: str
    methods: list[str]
    expires_in: int
    passkey: CredentialRequest | msgspec.UnsetType = msgspec.UNSET


class BrowserSession(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens are in cookies that scripts can't read. Repeat `csrf_token`, which is in a cookie that they can read,
    in the header `X-CSRF-Token` of each request but GET. Times in seconds.
    """

    csrf_token: str
    expires_in: int
    refresh_expires_in: int


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """How the account proves anew who it is."""

    password: Password


class FreshToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An access token with a fresh proof; the refresh token stays. A session in cookies gets it as a cookie instead."""

    expires_in: int
    access_token: str | msgspec.UnsetType = msgspec.UNSET


class LogInSession(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account is logged in. `current` is the session that asks; `methods` proved who it is (RFC 8176), last at
    `authenticated_at`. `ip` and `user_agent` are those of the last refresh, which `last_used_at` is the time of.
    """

    id: UUID
    current: bool
    ip: str
    user_agent: str
    methods: list[str]
    created_at: datetime
    last_used_at: datetime
    authenticated_at: datetime
    expires_at: datetime


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """A message was sent to `email`, whether or not there is an account already: it says how to go on within
    `expires_in` seconds.
    """

    email: str
    expires_in: int


class EmailAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An address to which a message is to be sent."""

    email: Email


class MessageSent(msgspec.Struct, frozen=True, kw_only=True):
    """If there is something to say to the address, a message is on its way; its token is good for `expires_in` s."""

    expires_in: int


class OneTimeToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token that was mailed."""

    token: TokenText


class PasswordReset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password, for who has the token that was mailed."""

    token: TokenText
    password: Password


class PasswordChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password, for who knows the current one."""

    current_password: Password
    password: Password


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account, as its owner and the administrators see it. One of kind `service` is a program's: nobody logs in to
    it, and it has no address.
    """

    id: UUID
    tenant_id: UUID
    kind: AccountKind
    email: str | None
    email_verified: bool
    display_name: str
    status: Status
    roles: list[str]
    created_at: datetime


class StatusChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether an account may log in."""

    status: Status


class Roles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All roles of an account. `member` is always one of them."""

    roles: Annotated[list[Role], msgspec.Meta(max_length=32)]
