"""One generation's Litestar application: the kernel's routes and the enabled plugins'."""

from collections.abc import Sequence
from typing import Any

from litestar import Controller, Litestar, Request, Router
from litestar.handlers import HTTPRouteHandler
from litestar.response import Response
from litestar.routes import HTTPRoute
from pegboard_sdk.http import EXCHANGE, Route

from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard.web.addresses import Addresses
from pegboard.web.exchange import Exchange
from pegboard.web.gate import Gate
from pegboard.web.methods import allowed_methods
from pegboard.web.openapi import openapi_config
from pegboard.web.pages import ROOT_CONTROLLERS
from pegboard.web.problems import PROBLEM_JSON, encode_problem, to_domain_error
from pegboard.web.requests import JsonRequest
from pegboard.web.schemas import DescribedStructs

__all__ = ("API", "build", "declared_routes", "routers")

API = "/api/v1"


def build(runtime: Runtime, registry: Registry, addresses: Addresses) -> Litestar:
    """The application of a generation. It holds no state: what it needs comes with each request's exchange."""
    return Litestar(
        route_handlers=routers(registry),
        middleware=[Gate(runtime, registry, addresses)],
        exception_handlers={Exception: _answer_problem},
        request_class=JsonRequest,
        request_max_body_size=runtime.config.http.max_body,
        openapi_config=openapi_config(),
        plugins=[DescribedStructs()],
        logging_config=None,
        debug=False,
    )


def routers(registry: Registry) -> list[Router]:
    """The routes of a generation: the kernel's pages, its part of the API, and the plugins'."""
    return [
        _router("/", "kernel", ROOT_CONTROLLERS),
        *(
            _router(API if plugin.name == "kernel" else f"{API}/{plugin.name}", plugin.name, plugin.controllers)
            for plugin in registry.plugins
            if plugin.controllers
        ),
    ]


def _router(path: str, plugin: str, controllers: Sequence[type[Controller]]) -> Router:
    return Router(path=path, route_handlers=list(controllers), opt={"plugin": plugin}, tags=[plugin])


def declared_routes(app: Litestar) -> dict[tuple[str, str], tuple[Route, HTTPRouteHandler]]:
    """Each operation's declaration by (path as OpenAPI writes it, lower-case method)."""
    declared: dict[tuple[str, str], tuple[Route, HTTPRouteHandler]] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if (declaration := handler.opt.get("route")) is not None:
                    for method in handler.http_methods:
                        declared[route.path_format, str(method).lower()] = (declaration, handler)
    return declared


def _answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    exchange: Exchange = request.scope[EXCHANGE]  # type: ignore[literal-required]  # the kernel's own key
    exchange.judge(error)
    known = exchange.told(to_domain_error(error, request_id=exchange.request_id))
    headers = dict(known.headers)
    if known.status == 405:
        headers["Allow"] = allowed_methods(request.scope)
    elif known.status == 401:
        headers.setdefault("WWW-Authenticate", 'Bearer realm="pegboard"')
    return Response(
        encode_problem(known, exchange.request_id), status_code=known.status, media_type=PROBLEM_JSON, headers=headers
    )
