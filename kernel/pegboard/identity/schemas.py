"""What identity's routes take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from pegboard.identity.credentials import EMAIL_MAX, PASSWORD_MAX

__all__ = (
    "Account",
    "Challenge",
    "LogIn",
    "RefreshRequest",
    "Register",
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
Status = Literal["active", "disabled"]
Role = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,62}$", description="A role's name.")]


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new account. The password's least length is the administrator's choice, 12 characters unless changed."""

    email: Email
    password: Password
    display_name: DisplayName


class LogIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credentials."""

    email: Email
    password: Password


class RefreshRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refresh token, to be exchanged for a new pair."""

    refresh_token: Annotated[str, msgspec.Meta(min_length=1, max_length=128, description="The refresh token.")]


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """Send `access_token` as `Authorization: Bearer …`; when it expires, exchange `refresh_token`. Times in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_in: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # RFC 6750's name of the kind


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """The first factor was right, and the account needs another: answer `challenge` by one of `methods` within
    `expires_in` seconds.
    """

    challenge: str
    methods: list[str]
    expires_in: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account, as its owner and the administrators see it."""

    id: UUID
    tenant_id: UUID
    email: str
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
