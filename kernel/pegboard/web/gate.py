"""Between routing and the handler: who asks, may they, and how often. The request's body was not read yet."""

import asyncio
from uuid import UUID

from litestar.types import ASGIApp, Receive, Scope, Send
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import DomainError, Forbidden, NotFound, Unauthorized
from pegboard_sdk.http import EXCHANGE, Route

from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.errors import CsrfRefused
from pegboard.isolation.breaker import REFUSED
from pegboard.isolation.errors import PluginUnavailable
from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard.web.addresses import Addresses
from pegboard.web.cookies import SessionCookies
from pegboard.web.exchange import Exchange
from pegboard.web.methods import allowed_methods

__all__ = ("BadTenant", "Gate")


class BadTenant(DomainError):
    """The tenant header is not a UUID."""

    code = "bad_tenant"


class Gate:
    """Litestar middleware, made once per generation: authenticates, authorizes and counts, inline (a sync Litestar
    guard costs a thread hop).
    """

    def __init__(self, runtime: Runtime, registry: Registry, addresses: Addresses) -> None:
        self._registry = registry
        self._limiter = runtime.limiter
        self._breakers = runtime.breakers
        self._addresses = addresses
        self._authenticator = runtime.authenticator
        self._cookies = SessionCookies(runtime)
        self._per_principal = runtime.config.http.rate_per_principal
        self._per_guess = runtime.config.http.rate_guessable

    def __call__(self, app: ASGIApp) -> ASGIApp:
        async def gated(scope: Scope, receive: Receive, send: Send) -> None:
            opt = scope["route_handler"].opt
            route: Route | None = opt.get("route")
            if route is None:
                # Only Litestar's own OPTIONS answers have none: plugins' routes without one are refused when they load.
                if scope.get("method") != "OPTIONS":
                    raise NotFound("There is nothing at this path. GET /docs shows what there is.")
                await _answer_options(scope, send)
                return
            exchange: Exchange = scope[EXCHANGE]  # type: ignore[literal-required]  # the kernel's own key
            exchange.plugin = opt["plugin"]
            exchange.route = route
            if route.timeout is not None and exchange.limit is not None:
                exchange.limit.reschedule(asyncio.get_running_loop().time() + route.timeout)
            principal = exchange.principal = await self._authenticate(exchange, route)
            if route.guessable:
                await self._limiter.check_shared(
                    f"guess:{route.status}:{scope['path']}:{self._addresses.group(exchange.ip)}", self._per_guess
                )
            if principal.account_id is not None:
                self._limiter.check(f"account:{principal.account_id}", self._per_principal)
            if route.permission is not None:
                principal.require(route.permission)
                if route.fresh:
                    self._authenticator.require_fresh(principal)
            breaker = self._breakers.get(exchange.plugin)
            if breaker is None:
                await app(scope, receive, send)
                return
            ticket = breaker.admit()
            if ticket == REFUSED:
                raise PluginUnavailable(exchange.plugin, breaker.retry_in)
            exchange.breaker, exchange.ticket = breaker, ticket
            try:
                await app(scope, receive, send)
            except BaseException as error:
                exchange.judge(error)
                raise
            # What the handler raised was answered in there, and judged; a stream has had its say when it began.
            if exchange.breaker is not None:
                breaker.succeeded(ticket)

        return gated

    async def _authenticate(self, exchange: Exchange, route: Route) -> Principal:
        authorization = exchange.headers.get(b"authorization")
        by_cookie = False
        if authorization is None:
            token = self._cookies.access_token(exchange)
            if token is None:
                return self._authenticator.anonymous(self._anonymous_tenant(exchange), self._registry)
            scheme, by_cookie = "bearer", True
        else:
            scheme, _, token = authorization.decode("latin-1").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                raise Unauthorized("Send the access token as `Authorization: Bearer <token>`.")
            principal = self._authenticator.cached(token, self._registry)
            if principal is None:
                principal = await self._authenticator.principal(token, self._registry)
            if by_cookie and not route.safe:
                self._cookies.check_write(exchange, principal.session_id)
        except (Unauthorized, CsrfRefused):
            if route.public:
                # A client may carry an old token to log-in or to a public page.
                return self._authenticator.anonymous(self._anonymous_tenant(exchange), self._registry)
            raise
        exchange.by_cookie = by_cookie
        named = exchange.headers.get(b"x-tenant")
        if named is not None and named.decode("latin-1").strip().lower() != str(principal.tenant_id):
            raise Forbidden("The token belongs to another tenant than the one that X-Tenant names.")
        return principal

    def _anonymous_tenant(self, exchange: Exchange) -> UUID:
        """The tenant of somebody who is not logged in: what a trusted proxy says, else the default one."""
        named = exchange.headers.get(b"x-tenant")
        client = exchange.scope["client"]
        if named is None or client is None or not self._addresses.trusts(client[0]):
            return DEFAULT_TENANT
        try:
            return UUID(named.decode("latin-1").strip())
        except ValueError:
            raise BadTenant("X-Tenant takes a tenant's UUID.") from None


async def _answer_options(scope: Scope, send: Send) -> None:
    headers = [(b"allow", allowed_methods(scope).encode())]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
