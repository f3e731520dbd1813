"""What the routes of single sign-on take and give."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from pegboard.config.sso import Preset, ProviderSettings
from pegboard.identity.schemas import TokenText

__all__ = (
    "AdministeredProvider",
    "AdministeredProviders",
    "Code",
    "Identities",
    "Identity",
    "LinkCode",
    "ListedProvider",
    "ListedProviders",
    "ProviderPut",
    "ProviderStart",
    "Started",
)

CodeText = Annotated[
    str, msgspec.Meta(min_length=43, max_length=43, pattern="^[A-Za-z0-9_-]*$", description="The code of the address.")
]
Verifier = Annotated[
    str,
    msgspec.Meta(
        min_length=43,
        max_length=128,
        pattern="^[A-Za-z0-9._~-]*$",
        description="The verifier whose challenge began the log-in (RFC 7636, 4.1).",
    ),
]


class ListedProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A way to log in. `required`: addresses of the domain that was asked for have no other."""

    name: str
    label: str
    preset: Preset
    required: bool


class ListedProviders(msgspec.Struct, frozen=True, kw_only=True):
    """The ways to log in, besides a password."""

    items: list[ListedProvider]


class ProviderStart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`return_to` is the page or app to come back to, one of the provider's list. An app sends `code_challenge`, which
    is BASE64URL(SHA256(verifier)) of a verifier that it keeps (RFC 7636, S256); a browser gets a cookie instead.
    """

    return_to: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    code_challenge: Annotated[str, msgspec.Meta(min_length=43, max_length=43, pattern="^[A-Za-z0-9_-]*$")] | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """Send the browser to `authorization_url` within `expires_in` seconds."""

    authorization_url: str
    expires_in: int


class Code(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `code` that came with `return_to`. An app adds the verifier. With `cookies` a browser gets its tokens as
    cookies. A trusted device sends the `device_token` that it got; a browser has it in a cookie.
    """

    code: CodeText
    code_verifier: Verifier | None = None
    cookies: bool = False
    device_token: TokenText | None = None


class LinkCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `code` that came with `return_to`. An app adds the verifier."""

    code: CodeText
    code_verifier: Verifier | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A log-in elsewhere that an account is linked to. `email` is the address there when it was last used."""

    id: UUID
    provider: str
    issuer: str
    email: str | None
    created_at: datetime
    last_used_at: datetime


class Identities(msgspec.Struct, frozen=True, kw_only=True):
    """All of an account."""

    items: list[Identity]


class ProviderPut(ProviderSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider. `client_secret` is what the provider gave with `client_id`, for Apple the text of the key file; it is
    kept in the vault and never shown. Left out, the one that is there stays.
    """

    client_secret: Annotated[str, msgspec.Meta(max_length=10_000)] | None = None


class AdministeredProvider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider, as its administrators see it. `configured`: it is in `plugins.toml` and is changed there.
    `callback_url` is what the provider must be told to send people back to.
    """

    name: str
    settings: ProviderSettings
    has_secret: bool
    configured: bool
    callback_url: str


class AdministeredProviders(msgspec.Struct, frozen=True, kw_only=True):
    """All of the marketplace."""

    items: list[AdministeredProvider]
