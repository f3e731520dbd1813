"""Between routing and the handler: who asks, may they, and how often. The request's body was not read yet."""

import asyncio

from litestar.types import ASGIApp, Receive, Scope, Send
from pegboard_sdk.access import Principal
from pegboard_sdk.errors import NotFound, Unauthorized
from pegboard_sdk.http import EXCHANGE, Route

from pegboard.factors.errors import FactorRequired
from pegboard.factors.permissions import RESTRICTED
from pegboard.identity.errors import CsrfRefused
from pegboard.isolation.breaker import REFUSED
from pegboard.isolation.errors import PluginUnavailable
from pegboard.maintenance.permissions import MAINTENANCE_SET
from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard.tenancy.errors import OtherTenant
from pegboard.tenancy.resolution import Resolution
from pegboard.web.addresses import Addresses
from pegboard.web.cookies import SessionCookies
from pegboard.web.exchange import Exchange
from pegboard.web.guesses import name_of, was_wrong
from pegboard.web.methods import allowed_methods

__all__ = ("Gate",)


class Gate:
    """Litestar middleware, made once per generation: authenticates, authorizes and counts, inline (a sync Litestar
    guard costs a thread hop).
    """

    def __init__(self, runtime: Runtime, registry: Registry, addresses: Addresses) -> None:
        self._registry = registry
        self._limiter = runtime.limiter
        self._guesses = runtime.guesses
        self._breakers = runtime.breakers
        self._addresses = addresses
        self._authenticator = runtime.authenticator
        self._machines = runtime.authenticator.machines
        self._tenancy = Resolution(runtime, addresses)
        self._cookies = SessionCookies(runtime)
        self._maintenance = runtime.maintenance
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
            if self._maintenance.now.on and not principal.may(MAINTENANCE_SET):
                self._maintenance.check(scope["path"])
            if route.guessable:
                await self._guesses.admit(self._addresses.group(exchange.ip))
                await self._limiter.check_shared(
                    f"guess:{route.status}:{scope['path']}:{self._addresses.group(exchange.ip)}", self._per_guess
                )
            if principal.account_id is not None:
                left = self._limiter.check(f"account:{principal.account_id}", self._per_principal)
                exchange.rate = left or exchange.rate
                if principal.session_id is not None and (rate := self._machines.limited(principal.session_id)):
                    left = self._limiter.check(f"credential:{principal.session_id}", rate)
                    exchange.rate = left or exchange.rate
            if route.permission is not None:
                if RESTRICTED in principal.roles and not principal.may(route.permission):
                    raise FactorRequired
                principal.require(route.permission)
                if route.fresh:
                    self._authenticator.require_fresh(principal)
            breaker = self._breakers.get(exchange.plugin)
            if breaker is None:
                await app(scope, receive, send)
                if route.guessable:
                    await self._note_guess(exchange)
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
            if route.guessable:
                await self._note_guess(exchange)

        return gated

    async def _note_guess(self, exchange: Exchange) -> None:
        """Once it was answered: how wrong a guess was must not show in how long the answer takes."""
        if was_wrong(exchange.problem):
            await self._guesses.failed(self._addresses.group(exchange.ip), await name_of(exchange.scope))

    async def _authenticate(self, exchange: Exchange, route: Route) -> Principal:
        authorization = exchange.headers.get(b"authorization")
        by_cookie = False
        if authorization is None:
            token = self._cookies.access_token(exchange)
            if token is None:
                return await self._anonymous(exchange)
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
                return await self._anonymous(exchange)
            raise
        try:
            self._tenancy.check(exchange, principal)
        except OtherTenant:
            # A browser sends cookies by itself: at another marketplace's host name they count for nothing.
            if by_cookie and route.public:
                return await self._anonymous(exchange)
            raise
        exchange.by_cookie = by_cookie
        return principal

    async def _anonymous(self, exchange: Exchange) -> Principal:
        return self._authenticator.anonymous(await self._tenancy.of_anonymous(exchange), self._registry)


async def _answer_options(scope: Scope, send: Send) -> None:
    headers = [(b"allow", allowed_methods(scope).encode())]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
