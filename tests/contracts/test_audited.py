"""Whoever does something leaves an entry in the audit trail: each unsafe route is used with success, and what the
answer's request left there is compared with the route's permission.

A new unsafe route needs an act (`tests/contracts/acts`), and to leave an entry, or a reason here why it doesn't.
"""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from litestar.routes import HTTPRoute
from pegboard.testing.servers import config_for_tests, write_config
from pegboard_sdk.http import Route

from tests.contracts.acts import administration, factors, identity, machines, maintenance, plugins, sso, tenancy
from tests.contracts.acts.site import Acts, Site
from tests.support.mailbox import Mailbox
from tests.support.platform import TestPlatform
from tests.support.servers import BUILT_IN, TEMPLATE, create_database

ACTS: Acts = {
    name: act
    for area in (plugins, identity, factors, machines, maintenance, sso, tenancy, administration)
    for name, act in area.ACTS.items()
}

WITHOUT_ENTRY: Mapping[str, str] = {
    "POST /api/v1/auth/refresh": "a session goes on; its beginning and its end are on record",
    "POST /api/v1/auth/password/forgotten": "only a message is sent, which proves nothing yet; anybody may ask",
    "POST /api/v1/auth/email/verification": "only a message is sent, which proves nothing yet; anybody may ask",
    "POST /api/v1/admin/plugins/plans": "a plan changes nothing, and says who made it; to apply it is on record",
    "POST /api/v1/auth/token/introspect": "a question, which RFC 7662 has asked by POST",
    "POST /api/v1/auth/providers/{name}/start": "a browser is told where to go; what comes of it is on record",
    "POST /api/v1/auth/identities/{name}/start": "a browser is told where to go; what comes of it is on record",
    "POST /api/v1/auth/providers/{name}/callback": "nobody is logged in before the code is exchanged",
}
"""Routes that change nothing that anybody would be asked about, and why."""


@pytest.fixture
async def own(postgres_url: str, redis_url: str, tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[TestPlatform]:
    """A platform of its own: its plugins come and go."""
    url = await create_database(postgres_url, f"acts_{tmp_path.name}", template=TEMPLATE)
    path = tmp_path / "plugins.toml"
    settings = {"finance": {"sandbox": True, "refund_limit": administration.OVER_LIMIT - 1}}
    write_config(path, dict.fromkeys(BUILT_IN, True), settings)
    running = TestPlatform(config_for_tests(path, url, redis_url, **mailbox.environ))
    await running.start()
    yield running
    await running.stop()


def unsafe_routes(platform: TestPlatform) -> dict[str, Route]:
    """What the running application changes something by, by method and path."""
    found: dict[str, Route] = {}
    for route in platform.app.platform.holder.current.app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                declared = handler.opt.get("route")
                if isinstance(declared, Route) and not declared.safe:
                    found |= {
                        f"{method} {route.path_format}": declared for method in handler.http_methods - {"OPTIONS"}
                    }
    return found


async def entries_of(platform: TestPlatform, request_id: str) -> list[str]:
    """The actions that a request has on record, as done."""
    async with platform.runtime.database.system_reader() as connection:
        rows = await connection.fetch(
            "SELECT action FROM kernel_audit_entries WHERE request_id = $1 AND outcome = 'success'"
            " AND action NOT LIKE 'kernel:%.use' AND action <> 'kernel:outbound.call' ORDER BY id",
            request_id,
        )
    return [row["action"] for row in rows]


def judged(name: str, permission: str | None, actions: list[str]) -> list[str]:
    """What is wrong with the entries that a route left."""
    if name in WITHOUT_ENTRY:
        return [f"{name} leaves {actions}: it needs no exception"] if actions else []
    if permission is not None and permission not in actions:
        return [f"{name} needs {permission}, and leaves {actions}"]
    return [] if actions else [f"{name} leaves nothing"]


def test_what_is_not_on_record_is_noticed() -> None:
    refresh = "POST /api/v1/auth/refresh"
    assert judged("POST /x", "a:b.c", []) == ["POST /x needs a:b.c, and leaves []"]
    assert judged("POST /x", "a:b.c", ["a:b.d"]) == ["POST /x needs a:b.c, and leaves ['a:b.d']"]
    assert judged("POST /x", None, []) == ["POST /x leaves nothing"]
    assert judged(refresh, None, ["a:b.c"]) == [f"{refresh} leaves ['a:b.c']: it needs no exception"]
    assert judged("POST /x", "a:b.c", ["a:b.d", "a:b.c"]) == judged("POST /x", None, ["a:b.c"]) == []
    assert judged(refresh, None, []) == []


async def test_every_unsafe_route_leaves_what_it_did_on_record(own: TestPlatform, mailbox: Mailbox) -> None:
    routes = unsafe_routes(own)
    assert sorted(routes.keys() - ACTS.keys()) == [], "these routes have no act in tests/contracts/acts"
    assert sorted(ACTS.keys() - routes.keys()) == [], "these acts are of no route"
    wrong: list[str] = []
    for name, route in sorted(routes.items()):
        answer = await ACTS[name](Site(own, await own.tenant(), mailbox))
        if answer.status_code >= 400:
            wrong.append(f"{name} was not done: {answer.status_code} {answer.text}")
            continue
        actions = await entries_of(own, answer.headers["x-request-id"])
        wrong += judged(name, route.permission, actions)
    assert wrong == [], "\n".join(wrong)
    print(f"{len(routes)} unsafe routes, {len(routes) - len(WITHOUT_ENTRY)} of which leave an entry")  # noqa: T201
