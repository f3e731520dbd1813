"""Using a plugin as its users do: every route, job and event handler once, in a marketplace of its own."""

import asyncio
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import httpx
import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from pegboard_sdk.http import Route
from pegboard_sdk.ids import new_id
from pegboard_sdk.testing import Examples

from pegboard.conformance.dynamic.failures import failures_heard
from pegboard.conformance.dynamic.payloads import Unbuildable, build
from pegboard.conformance.dynamic.store import connected, existing
from pegboard.conformance.subject import Subject
from pegboard.testing.platform import Account

__all__ = ("Endpoint", "Exercise", "KnownIds", "endpoints", "exercise")

METHODS = ("POST", "PUT", "GET", "PATCH", "DELETE")
"""In this order: what is made can be read, changed and removed."""
PATIENCE = 10.0
"""Seconds that a request, or a job with all that it starts, may take; a stream goes on for ever."""
ROLES = ("member", "administrator")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A method and a path of the plugin's."""

    method: str
    path: str
    route: Route
    handler: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Exercise(msgspec.Struct, kw_only=True):
    """What was done, and what came of it. `blocked` are the places that held the event loop up; `untried` the endpoints
    for which no request was found, each with what doesn't fit; `changes` are the requests that changed something with
    success, by their ids.
    """

    tenant: UUID
    account: Account
    ids: "KnownIds"
    payloads: Sequence[msgspec.Struct]
    failed: list[str]
    untried: list[tuple[str, str]]
    blocked: list[str]
    changes: list[tuple[Endpoint, str]]


class KnownIds:
    """Ids of rows of one tenant, by the name of the field that wants one: `gig_id` is one of a table `…_gigs`; and what
    the plugin offers for bodies.
    """

    def __init__(self, account: UUID, offered: Sequence[msgspec.Struct] = ()) -> None:
        self._account = account
        self._offered = offered
        self._rows: dict[str, UUID] = {}
        self._texts: dict[str, str] = {}

    async def learn(self, subject: Subject, tenant: UUID, answer: httpx.Response | None = None) -> None:
        """Look at the newest row of each table of the plugin and of those that it requires, and at what an answer tells
        of an object: its `slug` goes where a path wants one.
        """
        async with connected(subject) as connection:
            for plugin in (*subject.others, subject.plugin):
                declared = [table._meta.tablename for table in plugin.app.tables] if plugin.app is not None else []
                for name in await existing(connection, declared):
                    row = await connection.fetchval(
                        f"SELECT to_jsonb(t) ->> 'id' FROM {name} t WHERE to_jsonb(t) ->> 'tenant_id' = $1"  # noqa: S608  # a table's name
                        " ORDER BY 1 DESC NULLS LAST LIMIT 1",
                        str(tenant),
                    )
                    try:
                        self._rows[name.removeprefix(f"{plugin.name}_")] = UUID(row or "")
                    except ValueError:
                        continue
        body = msgspec.json.decode(answer.content) if answer is not None and answer.content else None
        if isinstance(body, dict):
            self._texts |= {key: value for key, value in body.items() if isinstance(value, str)}

    def example(self, type: Any) -> msgspec.Struct | None:
        """What the plugin offers of a type."""
        return next((one for one in self._offered if type is one.__class__), None)

    def text(self, name: str) -> str | None:
        """What an answer had under this name."""
        return self._texts.get(name)

    def __call__(self, name: str) -> UUID:
        """An id for a field called `name`; one that nothing has, where no table is named so."""
        noun = name.removesuffix("_id")
        for table, row in self._rows.items():
            if table in (noun, f"{noun}s", f"{noun}es", f"{noun.removesuffix('y')}ies"):
                return row
        if noun.endswith(("account", "user", "owner", "member", "payer", "payee")):
            return self._account
        return new_id()


def endpoints(subject: Subject) -> Iterator[Endpoint]:
    """The plugin's endpoints, in the order of `METHODS`."""
    found: list[Endpoint] = []
    for route in subject.kernel.app.platform.holder.current.app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            declared = handler.opt.get("route")
            if handler.opt.get("plugin") == subject.name and isinstance(declared, Route):
                found += [
                    Endpoint(method=str(method), path=route.path_format, route=declared, handler=handler)
                    for method in handler.http_methods
                    if method in METHODS
                ]
    yield from sorted(found, key=lambda one: (METHODS.index(one.method), one.path.count("/"), one.path))


async def request(client: httpx.AsyncClient, endpoint: Endpoint, ids: KnownIds) -> httpx.Response | None:
    """Call an endpoint with what fits it. None: it answers for longer than anybody waits, as streams do.

    Raises:
        Unbuildable: no body fits.
    """
    handler: HTTPRouteHandler = endpoint.handler
    path = endpoint.path
    for parameter in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
        annotation = handler.parsed_fn_signature.parameters.get(parameter)
        value = None if annotation is None or annotation.annotation is not str else ids.text(parameter)
        if value is None:
            value = ids(parameter) if annotation is None else build(annotation.annotation, ids, name=parameter)
        path = path.replace(f"{{{parameter}}}", str(value))
    data = handler.parsed_data_field
    body = None
    if data is not None:
        example = ids.example(data.annotation)
        body = build(data.annotation, ids) if example is None else msgspec.to_builtins(example)
    headers = {"If-Match": "*"}
    if endpoint.method != "GET":
        headers["Idempotency-Key"] = new_id().hex
    try:
        async with asyncio.timeout(PATIENCE):
            return await client.request(endpoint.method, path, json=body, headers=headers)
    except TimeoutError:
        return None


async def examples(subject: Subject, tenant: UUID) -> Sequence[msgspec.Struct]:
    """The payloads that the plugin offers (`pegboard_sdk.testing.Examples`)."""
    name = f"{subject.package}.conformance"
    if importlib.util.find_spec(name) is None:
        return ()
    offered: Examples = importlib.import_module(name).examples
    return await offered(subject.kernel, tenant)


def payload_for(type: Any, ids: KnownIds, offered: Sequence[msgspec.Struct]) -> bytes:
    """A payload of the Struct `type` as JSON: an example, else a made-up one.

    Raises:
        Unbuildable: there is no example and none can be made up.
    """
    example = next((one for one in offered if isinstance(one, type)), None)
    return msgspec.json.encode(example if example is not None else build(type, ids))


async def settle(subject: Subject, tenant: UUID, *, patience: float = PATIENCE) -> bool:
    """Run what waits, for at most `patience` seconds. False: it never comes to an end, as when a handler emits the
    event that it handles; what is left is thrown away.
    """
    try:
        async with asyncio.timeout(patience):
            await subject.kernel.drain()
    except TimeoutError:
        async with connected(subject) as connection:
            await connection.execute("DELETE FROM kernel_jobs WHERE tenant_id = $1 AND finished_at IS NULL", tenant)
            await connection.execute("DELETE FROM kernel_events WHERE tenant_id = $1 AND relayed_at IS NULL", tenant)
        return False
    return True


async def deliver(
    subject: Subject, tenant: UUID, name: str, payload: bytes, *, patience: float = PATIENCE
) -> str | None:
    """Run a job, or an event handler as `<event>/<handler>`, and whatever it starts. Gives what went wrong, if so."""
    job = new_id()
    async with subject.kernel.runtime.database.system_transaction() as connection:
        await connection.execute(
            "INSERT INTO kernel_jobs (id, tenant_id, plugin, name, payload, max_attempts)"
            " VALUES ($1, $2, $3, $4, $5, 1)",
            job,
            tenant,
            subject.name,
            name,
            payload.decode(),
        )
    if not await settle(subject, tenant, patience=patience):
        return f"does not end, or what it starts does not, within {patience:.0f} s"
    async with subject.kernel.runtime.database.system_transaction() as connection:
        row = await connection.fetchrow("SELECT state, error FROM kernel_jobs WHERE id = $1", job)
    if row["state"] == "succeeded":
        return None
    return f"raised {row['error']}" if row["error"] else f"is left {row['state']}"


def deliverables(subject: Subject) -> list[tuple[str, str, Any]]:
    """The plugin's jobs and event handlers: what to call it, the name of its rows, its payload's Struct."""
    jobs = [(f"the job {job.name}", job.name, job.payload) for job in subject.plugin.jobs]
    handlers = [
        (f"the handler {one.name} of {one.event}", f"{one.event}/{one.name}", one.type)
        for one in subject.plugin.event_handlers
    ]
    return jobs + handlers


async def exercise(subject: Subject) -> Exercise:
    """Use all of the plugin, in a new marketplace, and watch the event loop meanwhile."""
    kernel = subject.kernel
    tenant = await kernel.tenant()
    account = await kernel.account(tenant, roles=ROLES)
    failed: dict[str, None] = {}
    untried: dict[str, str] = {}
    changes: list[tuple[Endpoint, str]] = []
    with subject.detector.watching(), failures_heard() as failures:
        for check in subject.plugin.health_checks:
            await asyncio.wait_for(check.check(), check.timeout)
        offered = await examples(subject, tenant)
        ids = KnownIds((await kernel.account(tenant, name="Grace")).id, offered)
        await ids.learn(subject, tenant)
        everything = list(endpoints(subject))
        # What was made is deleted again: for the deliveries it is made once more, else they would find nothing to do.
        # Whatever else a POST does, the plainest ones come last.
        creations = [one for one in everything if one.method == "POST" and "{" not in one.path]
        for endpoint in (*everything, *creations, *reversed(creations)):
            try:
                answer = await request(account.client, endpoint, ids)
            except Unbuildable as error:
                untried.setdefault(str(endpoint), str(error))
                continue
            if answer is not None and answer.is_success and not endpoint.route.safe:
                changes.append((endpoint, answer.headers["x-request-id"]))
            if answer is not None and answer.status_code == 500:
                why = failures.told(answer.json().get("request_id", ""), subject.folder)
                failed[f"{endpoint} answers 500 to a request that fits its schema: {why}"] = None
            if answer is not None and answer.status_code == 201:
                await ids.learn(subject, tenant, answer)
        await settle(subject, tenant)
        await ids.learn(subject, tenant)
        for _, name, struct in deliverables(subject):
            try:
                await deliver(subject, tenant, name, payload_for(struct, ids, offered))
            except Unbuildable:
                continue
    return Exercise(
        tenant=tenant, account=account, ids=ids, payloads=offered, failed=list(failed), untried=list(untried.items()),
        blocked=subject.detector.found, changes=changes,
    )  # fmt: skip
