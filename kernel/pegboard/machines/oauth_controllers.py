"""The routes of OAuth clients, and where they find them."""

from typing import Annotated, Any

import msgspec
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.types import ExceptionHandlersMap
from pegboard_sdk.http import EXCHANGE, Controller, Request, Response, get, post

from pegboard.identity.signed_in import NO_STORE
from pegboard.machines.client_authentication import token_url
from pegboard.machines.oauth import OAuthService
from pegboard.machines.oauth_errors import OAuthProblem, answer_oauth_error
from pegboard.machines.oauth_schemas import AuthorizationServer, ClientToken, Introspection, TokenForm, TokenQuestion
from pegboard.machines.permissions import PEOPLE_ONLY
from pegboard.machines.public_keys import ALGORITHMS
from pegboard.web.exchange import Exchange
from pegboard.work import SteppedWork, Work

__all__ = ("OAUTH_CONTROLLERS", "MetadataController", "OAuthController")

_FORM = Body(media_type=RequestEncodingType.URL_ENCODED)
_REFUSALS = {
    400: "The request is not right: `error` says why.",
    401: "The client does not prove who it is.",
    403: "The client may not do this.",
}


class OAuthController(Controller):
    """Tokens for programs that act for themselves. A secret of 256 bits is nothing to guess, so the routes have no
    strict limit by address: many clients may be behind one.
    """

    path = "/auth/token"
    exception_handlers: "ExceptionHandlersMap | None" = {Exception: answer_oauth_error}  # noqa: RUF012  # as Litestar has it

    @post(public=True, external=True, idempotency="none", status=200, also=_REFUSALS)
    async def issue_client_token(
        self, data: Annotated[TokenForm, _FORM], request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[ClientToken | OAuthProblem]:
        """Give an OAuth client an access token for its credentials (client credentials grant). The client is a service
        account; it proves itself by a secret or an assertion.
        """
        exchange: Exchange = request.scope[EXCHANGE]  # type: ignore[literal-required]  # the kernel's own key
        token = await OAuthService(uow.runtime).issue(uow, data, _authorization(request), ip=exchange.ip)
        return Response(token, status_code=200, headers=NO_STORE)

    @post("/revoke", public=True, external=True, idempotency="none", status=200, also=_REFUSALS)
    async def revoke_client_token(
        self, data: Annotated[TokenQuestion, _FORM], request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[OAuthProblem | None]:
        """End an access token of the client's own (RFC 7009)."""
        await OAuthService(uow.runtime).revoke(uow, data, _authorization(request))
        return Response(None, status_code=200, headers=NO_STORE)

    @post("/introspect", public=True, external=True, idempotency="none", status=200, also=_REFUSALS)
    async def introspect_token(
        self, data: Annotated[TokenQuestion, _FORM], request: Request[Any, Any, Any], uow: SteppedWork
    ) -> Response[Introspection | OAuthProblem]:
        """Say what a token stands for (RFC 7662), to a client with the scope `account:token.introspect`."""
        found = await OAuthService(uow.runtime).introspect(uow, data, _authorization(request))
        return Response(found, status_code=200, headers=NO_STORE)


class MetadataController(Controller):
    """Where OAuth clients find the token endpoint. Mounted at the root."""

    path = "/.well-known"

    @get("/oauth-authorization-server", public=True)
    async def read_authorization_server(
        self, request: Request[Any, Any, Any], uow: Work
    ) -> Response[AuthorizationServer]:
        """The token endpoint, what it takes, and the keys that sign its tokens (RFC 8414)."""
        runtime = uow.runtime
        known = token_url(runtime)
        # Without http.public_url it is where the client found this.
        base = runtime.config.http.public_url.rstrip("/") or str(request.base_url).rstrip("/")
        token = known or f"{base}/api/v1/auth/token"
        metadata = AuthorizationServer(
            issuer=base,
            token_endpoint=token,
            revocation_endpoint=f"{token}/revoke",
            introspection_endpoint=f"{token}/introspect",
            jwks_uri=f"{base}/.well-known/jwks.json",
            scopes_supported=sorted(
                name for name in uow.registry.permissions.keys() - PEOPLE_ONLY if not name.startswith("kernel:")
            ),
            grant_types_supported=["client_credentials"],
            response_types_supported=[],
            token_endpoint_auth_methods_supported=[
                "client_secret_basic",
                "client_secret_post",
                *(["private_key_jwt"] if known else []),
            ],
            token_endpoint_auth_signing_alg_values_supported=list(ALGORITHMS) if known else msgspec.UNSET,
            service_documentation=f"{base}/docs",
        )
        return Response(metadata, status_code=200, headers={"Cache-Control": "public, max-age=300"})


OAUTH_CONTROLLERS = (OAuthController,)


def _authorization(request: Request[Any, Any, Any]) -> str | None:
    return request.headers.get("authorization")
