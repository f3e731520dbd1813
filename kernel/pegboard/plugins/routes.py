"""What controllers bring, read from the classes without building an application."""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from litestar import Controller
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from pegboard_sdk.http import Route

__all__ = ("RouteView", "handlers_of", "route_problems", "routes_of")

_TYPED = re.compile(r":[a-z]+\}")
_OPERATION = re.compile(r"^[a-z][a-z0-9]*_[a-z0-9]+(_[a-z0-9]+)*$")


class RouteView(msgspec.Struct, frozen=True, kw_only=True):
    """One route, as the administrator sees it. `permission` is null where the route is public; `fresh`: it needs a
    fresh proof of who asks.
    """

    method: str
    path: str
    permission: str | None
    operation: str
    fresh: bool = False


def handlers_of(controller: type[Controller]) -> list[tuple[str, BaseRouteHandler]]:
    """Names and route handlers of a controller, its bases' included, in the order in which they were written."""
    found: dict[str, BaseRouteHandler] = {}
    for base in reversed(controller.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, BaseRouteHandler):
                found[name] = value
            else:
                found.pop(name, None)
    return list(found.items())


def route_problems(plugin: str, controllers: Sequence[type[Controller]], permissions: frozenset[str]) -> Iterator[str]:
    """What is wrong with the routes of a plugin that defines `permissions`."""
    operations: dict[str, str] = {}
    for controller in controllers:
        # Where none are set, the class has a slot of this name.
        options = controller.opt if isinstance(controller.opt, Mapping) else {}
        for name, handler in handlers_of(controller):
            where = f"{controller.__qualname__}.{name}"
            route = handler.opt.get("route")
            if not isinstance(handler, HTTPRouteHandler) or not isinstance(route, Route):
                yield f"the route {where} must be made with a decorator of pegboard_sdk.http"
                continue
            if "plugin" in handler.opt or "plugin" in options:
                yield f"the route {where} sets the option 'plugin', which is the kernel's"
            if route.permission is not None and route.permission not in permissions:
                yield f"the route {where} needs the permission {route.permission!r}, which {plugin} does not define"
            if not _OPERATION.match(name):
                yield f"the route {where} must be named <verb>_<noun>: clients call it {plugin}_{name}"
            if name in operations:
                yield f"the routes {operations[name]} and {where} would both be {plugin}_{name} to clients: rename one"
            operations[name] = where


def routes_of(prefix: str, controllers: Sequence[type[Controller]]) -> list[RouteView]:
    """The routes of a plugin whose controllers are mounted under `prefix`."""
    views: list[RouteView] = []
    for controller in controllers:
        for name, handler in handlers_of(controller):
            route = handler.opt.get("route")
            if isinstance(handler, HTTPRouteHandler) and isinstance(route, Route):
                for path in sorted(handler.paths):
                    full = "/".join(part.strip("/") for part in (prefix, controller.path, path) if part.strip("/"))
                    views.extend(
                        RouteView(
                            method=str(method),
                            path=f"/{_TYPED.sub('}', full)}",
                            permission=route.permission,
                            operation=name,
                            fresh=route.fresh,
                        )
                        for method in sorted(handler.http_methods)
                    )
    return views
