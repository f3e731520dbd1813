"""What the routes of OAuth clients take and give: names and shapes are those of the RFCs."""

from typing import Literal
from uuid import UUID

import msgspec

from pegboard.machines.client_authentication import ClientForm

__all__ = ("AuthorizationServer", "ClientToken", "Introspection", "TokenForm", "TokenQuestion")


class TokenForm(ClientForm, frozen=True, kw_only=True):
    """A client asks for a token by its own credentials (RFC 6749, 4.4). `scope`: permissions by spaces, all of its
    credential's unless given.
    """

    grant_type: str = ""
    scope: str = ""


class TokenQuestion(ClientForm, frozen=True, kw_only=True):
    """A client names a token."""

    token: str = ""
    token_type_hint: str = ""


class ClientToken(msgspec.Struct, frozen=True, kw_only=True):
    """A client's access token: send it as `Authorization: Bearer …`. There is no refresh token: ask for another."""

    access_token: str
    expires_in: int
    scope: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # RFC 6750's name of the kind


class Introspection(msgspec.Struct, frozen=True, kw_only=True):
    """What a token stands for (RFC 7662, 2.2). Of one that doesn't stand only `active` is said."""

    active: bool
    scope: str | msgspec.UnsetType = msgspec.UNSET
    client_id: UUID | msgspec.UnsetType = msgspec.UNSET
    token_type: str | msgspec.UnsetType = msgspec.UNSET
    sub: UUID | msgspec.UnsetType = msgspec.UNSET
    iss: str | msgspec.UnsetType = msgspec.UNSET
    aud: str | msgspec.UnsetType = msgspec.UNSET
    iat: int | msgspec.UnsetType = msgspec.UNSET
    exp: int | msgspec.UnsetType = msgspec.UNSET


class AuthorizationServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where OAuth clients find what (RFC 8414)."""

    issuer: str
    token_endpoint: str
    revocation_endpoint: str
    introspection_endpoint: str
    jwks_uri: str
    scopes_supported: list[str]
    grant_types_supported: list[str]
    response_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str] | msgspec.UnsetType = msgspec.UNSET
    service_documentation: str
