"""Every route of the running application says who may use it, and keeps to it."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from litestar import Litestar, Router
from litestar import get as plain_get
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from pegboard.plugins.registry import Registry
from pegboard_sdk.http import Controller, Route, get
from pegboard_sdk.ids import new_id

from tests.support.platform import TestPlatform

PARAMETER = re.compile(r"\{[^}]+\}")


def handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Path and handler of everything that answers.

    OPTIONS is Litestar's own: it only names methods. So are the pages at /schema, which can't be turned off; the gate
    says that they are not there.
    """
    for route in app.routes:
        if route.path.startswith("/schema"):
            continue
        assert isinstance(route, HTTPRoute), f"{route.path} is no HTTP route"
        for handler in route.route_handlers:
            if set(handler.http_methods) - {"OPTIONS"}:
                yield route.path_format, handler


def unguarded(app: Litestar, registry: Registry) -> list[str]:
    """Routes that don't say who may use them, or name a permission that their own plugin does not define."""
    defined = {plugin.name: set(plugin.manifest.permissions) for plugin in registry.plugins}
    wrong: list[str] = []
    for path, handler in handlers(app):
        route = handler.opt.get("route")
        plugin = handler.opt.get("plugin")
        if not isinstance(route, Route) or (route.permission is None) == (not route.public):
            wrong.append(f"{path}: neither a permission nor public")
        elif route.permission is not None and route.permission not in defined.get(str(plugin), set()):
            wrong.append(f"{path}: {plugin} does not define {route.permission}")
    return wrong


def application(platform: TestPlatform) -> Litestar:
    return platform.app.platform.holder.current.app


def guarded(platform: TestPlatform, *, open_to: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Method, path and permission of each route that needs one which the roles don't grant."""
    held = platform.registry.permissions_of(open_to)
    for path, handler in handlers(application(platform)):
        permission = handler.opt["route"].permission
        if permission is not None and permission not in held:
            for method in sorted(handler.http_methods - {"OPTIONS"}):
                yield str(method), PARAMETER.sub(str(new_id()), path), permission


async def test_every_route_names_a_permission_of_its_plugin_or_is_public(platform: TestPlatform) -> None:
    assert unguarded(application(platform), platform.registry) == []
    assert len(list(handlers(application(platform)))) > 50


async def test_pages_that_the_framework_adds_are_not_there(platform: TestPlatform) -> None:
    account = await platform.account(await platform.tenant(), roles=("member", "administrator", "operator"))
    paths = [route.path for route in application(platform).routes if route.path.startswith("/schema")]

    for path in paths:
        answer = await account.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_the_walk_finds_what_is_wrong(platform: TestPlatform) -> None:
    @plain_get("/open")
    async def read_open() -> str:
        return ""

    class ThingController(Controller):
        path = "/things"

        @get("/", permission="finance:wallet.read")
        async def list_things(self) -> list[str]:
            return []

    wrong = Litestar(
        [Router("/bad", route_handlers=[read_open, ThingController], opt={"plugin": "bad"})], openapi_config=None
    )

    assert unguarded(wrong, platform.registry) == [
        "/bad/open: neither a permission nor public",
        "/bad/things: bad does not define finance:wallet.read",
    ]


async def test_public_routes_are_a_decision(platform: TestPlatform) -> None:
    """A new public route belongs in this list, so that somebody sees it."""
    public = {path for path, handler in handlers(application(platform)) if handler.opt["route"].public}

    assert public == {
        "/",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/api/v1/auth/challenge",
        "/api/v1/auth/email/confirm",
        "/api/v1/auth/email/verification",
        "/api/v1/auth/email/verify",
        "/api/v1/auth/login",
        "/api/v1/auth/passkeys/challenge",
        "/api/v1/auth/password/forgotten",
        "/api/v1/auth/password/reset",
        "/api/v1/auth/providers",
        "/api/v1/auth/providers/exchange",
        "/api/v1/auth/providers/{name}/callback",
        "/api/v1/auth/providers/{name}/start",
        "/api/v1/auth/refresh",
        "/api/v1/auth/register",
        "/api/v1/auth/token",
        "/api/v1/auth/token/introspect",
        "/api/v1/auth/token/revoke",
        "/api/v1/integrations/webhooks/{provider}",
        "/api/v1/maintenance",
        "/docs",
        "/docs/assets/{name}",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
    }


async def test_nobody_gets_past_a_permission_without_logging_in(platform: TestPlatform, tenant: UUID) -> None:
    client = platform.anonymous(tenant)
    routes = list(guarded(platform, open_to=frozenset({"anonymous"})))
    answers = {(method, path): await client.request(method, path, json={}) for method, path, _ in routes}

    assert len(routes) > 30
    assert {answer.status_code for answer in answers.values()} == {401}
    assert all(answer.headers["WWW-Authenticate"] for answer in answers.values())


async def test_a_member_gets_nowhere_that_members_may_not_go(platform: TestPlatform, tenant: UUID) -> None:
    account = await platform.account(tenant)
    routes = list(guarded(platform, open_to=frozenset({"member"})))

    assert len(routes) > 10
    for method, path, permission in routes:
        answer = await account.client.request(method, path, json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), path
        assert permission in answer.json()["detail"]


async def test_an_administrator_does_not_run_the_platform(platform: TestPlatform) -> None:
    roles = platform.registry.role_permissions

    for role in roles.keys() - {"operator"}:
        assert not [permission for permission in roles[role] if permission.startswith("kernel:")], role
    assert all(permission.startswith("kernel:") for permission in roles["operator"])


@pytest.mark.parametrize("plugin", ["ai_providers", "creation_studio", "finance", "governance", "integrations"])
async def test_an_administrator_may_do_whatever_the_plugins_offer(platform: TestPlatform, plugin: str) -> None:
    (loaded,) = [one for one in platform.registry.plugins if one.name == plugin]

    assert set(loaded.manifest.permissions) <= platform.registry.role_permissions["administrator"]
