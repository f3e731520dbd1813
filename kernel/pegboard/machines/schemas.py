"""What the routes of machines take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from pegboard.identity.schemas import DisplayName, Role, Status
from pegboard.machines.public_keys import PublicKey

__all__ = (
    "Credential",
    "CredentialKind",
    "NewApiKey",
    "NewCredential",
    "NewServiceAccount",
    "Rotation",
    "ServiceAccount",
    "ShownCredential",
)

CredentialKind = Literal["api_key", "client_secret", "public_key"]
CredentialState = Literal["active", "replaced", "expired", "revoked"]

Label = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$", description="What it is for, to its owner."
    ),
]
Scope = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]*:[a-z][a-z0-9_]*[.][a-z][a-z0-9_]*$", max_length=200, description="A permission."
    ),
]
Scopes = Annotated[
    list[Scope],
    msgspec.Meta(min_length=1, max_length=100, description="Permissions: it may do these, while its account may."),
]
Lifetime = Annotated[int, msgspec.Meta(ge=60, description="Seconds until it expires. Default: `auth.key_ttl`.")]
Rate = Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="Requests a minute at most, of its own.")]


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key that acts for who makes it."""

    label: Label
    scopes: Scopes
    expires_in: Lifetime | None = None
    rate: Rate | None = None


class NewCredential(NewApiKey, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key for a service account, or what it proves itself by as an OAuth client: a secret that is made here, or
    the public key of its own pair.
    """

    kind: CredentialKind = "api_key"
    public_key: PublicKey | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another key in the place of one, which stays good for `overlap` seconds, a day unless given."""

    overlap: Annotated[int, msgspec.Meta(ge=0, le=2_592_000)] = 86_400


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """An API key, or what a client proves itself by. `public_id` is the readable part of a key or secret, or the `kid`
    of a public key. `rate` is in requests a minute. `last_used_at` is up to half a minute late.
    """

    id: UUID
    account_id: UUID
    kind: CredentialKind
    public_id: str
    label: str
    scopes: list[str]
    rate: int | None
    state: CredentialState
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    replaced_by: UUID | None


class ShownCredential(Credential, frozen=True, kw_only=True):
    """A credential that was just made. `secret` is shown now and never again; a public key has none. The `client_id` of
    a client is its `account_id`.
    """

    secret: str | None


class NewServiceAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account for a program. It has the role `member` besides `roles`."""

    name: DisplayName
    roles: Annotated[list[Role], msgspec.Meta(max_length=32)] = []


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account of a program. Its `id` is its `client_id` as an OAuth client."""

    id: UUID
    name: str
    status: Status
    roles: list[str]
    created_at: datetime
