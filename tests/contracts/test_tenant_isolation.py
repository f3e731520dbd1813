"""No tenant sees or changes anything of another's, by whatever route.

Two tenants get everything that the acts of `tests/contracts/acts` make. Then people of the second one, from who is not
logged in to who holds every role of a marketplace, ask for all that is the first one's:

- every request that was made there is repeated here, word for word: its ids, cursors, ETags, tokens and bodies;
- every list, read, write and search route is asked by ids of each table of the first tenant, in the path and in each
  parameter of the query, and searched for its words.

No answer may hold what only the first tenant has, none of its rows may change, and no row of the second may come to
refer to it. That the first tenant's own people do see it proves that there was something to see.
"""

import asyncio
import json
import random
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus
from uuid import UUID

import httpx
import msgspec
import pytest
from pegboard.testing.servers import config_for_tests, write_config
from pegboard_sdk.ids import new_id

from tests.contracts.acts import administration
from tests.contracts.acts.site import Site
from tests.contracts.test_audited import ACTS, unsafe_routes
from tests.support.mailbox import Mailbox
from tests.support.platform import Account, TestPlatform
from tests.support.servers import BUILT_IN, TEMPLATE, create_database

PARAMETER = re.compile(r"\{[^}]+\}")
UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WORD = re.compile(r"[^\s\"'?&=,;|<>()\[\]{}/]+")
USES = re.compile(r'"action": "kernel:[a-z]+\.use"')
PATIENCE = 10.0
IDS_OF_A_TABLE = 1
SHORTEST = 12
"""Shorter texts may be the same by chance."""


class Asked(msgspec.Struct, frozen=True):
    """A request, as it went out."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Recorder(TestPlatform):
    """Keeps what its clients ask while `keeping` is on."""

    __test__ = False
    keeping = False

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.asked: dict[Asked, None] = {}

    def client(self, *, address: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        client = super().client(address=address, **headers)
        client.event_hooks = {"request": [self._keep], "response": []}
        return client

    async def _keep(self, request: httpx.Request) -> None:
        if self.keeping:
            kept = ("content-type", "if-match", "idempotency-key", "cookie", "x-csrf-token")
            headers = tuple((k, v) for k, v in request.headers.items() if k in kept or k.startswith("x-hub-"))
            self.asked[Asked(request.method, request.url.raw_path.decode(), headers, request.content)] = None


@pytest.fixture
async def own(postgres_url: str, redis_url: str, tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[Recorder]:
    """A platform of its own."""
    url = await create_database(postgres_url, f"isolation_{tmp_path.name[-20:]}", template=TEMPLATE)
    path = tmp_path / "plugins.toml"
    settings = {"finance": {"sandbox": True, "refund_limit": administration.OVER_LIMIT - 1}}
    write_config(path, dict.fromkeys(BUILT_IN, True), settings)
    running = Recorder(config_for_tests(path, url, redis_url, **mailbox.environ))
    await running.start()
    yield running
    await running.stop()


async def live(platform: TestPlatform, mailbox: Mailbox) -> list[UUID]:
    """Do in a tenant all that can be done there; gives it, and further ones for acts that want to be the first to do
    what they do. What operators do is done to all tenants at once, so it is left out.
    """
    tenants, routes = [await platform.tenant()], unsafe_routes(platform)
    for name, act in sorted(ACTS.items()):
        if (routes[name].permission or "").startswith("kernel:"):
            continue
        try:
            answer = await act(Site(platform, tenants[0], mailbox))
            done = answer.status_code < 400
        except AssertionError:
            done = False
        if not done:
            tenants.append(await platform.tenant())
            answer = await act(Site(platform, tenants[-1], mailbox))
            assert answer.status_code < 400, f"{name}: {answer.status_code} {answer.text}"
    await platform.drain()
    return tenants


# What a tenant has


async def tables(connection: Any) -> list[str]:
    rows = await connection.fetch(
        """
        SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
        """
    )
    return [row["relname"] for row in rows]


async def rows_of(platform: TestPlatform, tenants: list[UUID]) -> dict[str, list[str]]:
    """The tenants' rows by table, as JSON, in order; but for what is on record of the use of capabilities, which is
    counted first and written later.
    """
    found: dict[str, list[str]] = {}
    async with platform.runtime.database.system_reader() as connection:
        for table in await tables(connection):
            rows = await connection.fetch(
                f"SELECT to_jsonb(t)::text AS text FROM {table} t WHERE tenant_id = ANY($1) ORDER BY 1",
                tenants,
            )
            found[table] = [row["text"] for row in rows if not USES.search(row["text"])]
    return found


def texts(value: Any) -> Iterator[str]:
    """The strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def telling(rows: dict[str, list[str]]) -> set[str]:
    """The texts in rows that are long enough to tell whose they are. Times are not: two rows may have the same."""
    found = {text for of_table in rows.values() for row in of_table for text in texts(json.loads(row))}
    return {text for text in found if len(text) >= SHORTEST and not re.match(r"\d{4}-\d\d-\d\dT", text)}


def some_ids(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """The newest ids of each table."""
    return {
        table: [one["id"] for one in map(json.loads, of_table) if UUID_TEXT.fullmatch(str(one.get("id")))][
            -IDS_OF_A_TABLE:
        ]
        for table, of_table in rows.items()
        if of_table
    }


# Who asks


class Visitor:
    """Somebody of a tenant, who logs in again when what they asked for has ended their session."""

    def __init__(self, platform: TestPlatform, tenant: UUID, roles: tuple[str, ...]) -> None:
        self._platform = platform
        self._tenant = tenant
        self._roles = roles
        self._account: Account | None = None
        self.answers: dict[int, int] = {}

    async def _client(self) -> httpx.AsyncClient:
        if not self._roles:
            return self._platform.anonymous(self._tenant)
        if self._account is None:
            self._account = await self._platform.account(self._tenant, self._roles)
        return self._account.client

    async def ask(self, asked: Asked) -> httpx.Response | None:
        """The answer; None where it is a stream that goes on."""
        answer = await self._once(asked)
        if answer is not None and answer.status_code == 401 and self._roles:
            self._account = None
            answer = await self._once(asked)
        status = 0 if answer is None else answer.status_code
        self.answers[status] = self.answers.get(status, 0) + 1
        return answer

    async def _once(self, asked: Asked) -> httpx.Response | None:
        client = await self._client()
        headers = {name: value for name, value in asked.headers if name != "cookie" or not self._roles}
        try:
            async with asyncio.timeout(PATIENCE):
                return await client.request(asked.method, asked.target, content=asked.body, headers=headers)
        except TimeoutError:
            return None


# What is asked for


def by_ids(document: dict[str, Any], ids: dict[str, list[str]], words: list[str], cursors: list[str]) -> list[Asked]:
    """Requests for each route of the document: with each id in the path, and in the query what each parameter takes."""
    every = [one for of_table in ids.values() for one in of_table]
    made: dict[Asked, None] = {}

    def add(method: str, target: str, body: bytes = b"{}") -> None:
        if method in ("GET", "DELETE"):
            body = b""
        headers = (("content-type", "application/json"), ("if-match", "*"))
        if method != "GET":
            headers = (*headers, ("idempotency-key", str(new_id())))
        made[Asked(method, target, headers, body)] = None

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method not in ("get", "post", "put", "patch", "delete"):
                continue
            verb = method.upper()
            if "{" in path:
                for one in (*every, *words):
                    add(verb, PARAMETER.sub(one, path))
            elif verb == "GET":
                add(verb, path)
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "query":
                    continue
                bare = PARAMETER.sub(every[0], path)
                known = cursors if parameter["name"] == "cursor" else [*every, *words]
                if verb == "GET" and "integer" not in json.dumps(parameter["schema"]):
                    for one in known:
                        add(verb, f"{bare}?{httpx.QueryParams({parameter['name']: one})}")
                    if parameter["name"] == "limit":
                        add(verb, f"{bare}?limit=100")
    return list(made)


async def cursors_of(visitor: Visitor, document: dict[str, Any]) -> list[str]:
    """The cursors that a tenant's own lists give."""
    found: dict[str, None] = {}
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path:
            answer = await visitor.ask(Asked("GET", f"{path}?limit=1", (), b""))
            if answer is not None and answer.is_success and "json" in answer.headers["content-type"]:
                body = answer.json()
                if isinstance(body, dict) and isinstance(body.get("next_cursor"), str):
                    found[body["next_cursor"]] = None
    return list(found)


def marks_in(text: str, content: bytes, marks: set[str]) -> set[str]:
    """Which marks are in a text and in a body, which may be JSON."""
    found = set(UUID_TEXT.findall(text)) | set(UUID_TEXT.findall(content.decode(errors="replace")))
    try:
        found |= set(texts(json.loads(content)))
    except ValueError:
        text += content.decode(errors="replace")
    return (found | set(WORD.findall(text))) & marks


class Judge:
    """Asks as people of one tenant, and tells where an answer holds a mark of the other that nobody brought along:
    what they wrote themselves, such as an address in a body, they may read again.
    """

    def __init__(self, marks: set[str]) -> None:
        self._marks = marks
        self._brought: set[str] = set()
        self.wrong: list[str] = []

    async def ask(self, name: str, visitor: Visitor, asked: Asked) -> None:
        """Ask, and look at the answer. 502 and the like are others' that are away; 500 is our own failure."""
        where = f"{name}: {asked.method} {asked.target}"
        self._brought |= marks_in(unquote_plus(asked.target) + str(asked.headers), asked.body, self._marks)
        answer = await visitor.ask(asked)
        if answer is None:
            self.wrong.append(f"{where} gave no answer within {PATIENCE:.0f} s")
            return
        if answer.status_code == 500:
            self.wrong.append(f"{where} failed: {answer.text}")
        found = marks_in(str(answer.headers), answer.content, self._marks) - self._brought
        if found:
            self.wrong.append(f"{where} showed {sorted(found)[:3]}: {answer.text[:300]}")


async def test_no_route_shows_or_changes_what_is_another_tenants(
    own: Recorder, mailbox: Mailbox, capsys: pytest.CaptureFixture[str]
) -> None:
    own.keeping = True
    first = await live(own, mailbox)
    own.keeping = False
    second = await live(own, mailbox)
    a, b = first[0], second[0]
    # A clerk can't be a controller; an administrator holds what a clerk does.
    everything = tuple(sorted(own.registry.role_permissions.keys() - {"anonymous", "operator", "finance_clerk"}))
    theirs, ours = await rows_of(own, first), await rows_of(own, second)
    marks = telling(theirs) - telling(ours)
    ids = some_ids(theirs)
    words = sorted(mark for mark in marks if re.fullmatch(r"[\w@. -]{12,60}", mark) and not UUID_TEXT.search(mark))
    words = random.Random(4).sample(words, min(6, len(words)))
    document = (await own.anonymous(b).get("/openapi.json")).json()
    insider = Visitor(own, a, everything)
    made = by_ids(document, ids, words, await cursors_of(insider, document))

    seen: set[str] = set()
    for asked in made:
        if asked.method == "GET":
            answer = await insider.ask(asked)
            if answer is not None and answer.is_success:
                brought = marks_in(unquote_plus(asked.target), asked.body, marks)
                seen |= marks_in("", answer.content, marks) - brought
    theirs = await rows_of(own, first)
    noticing = Judge(marks)
    for asked in made[:200]:
        await noticing.ask("insider", insider, asked)
    assert any(" showed " in one for one in noticing.wrong), "what leaks would not be noticed"

    people = {
        "nobody": Visitor(own, b, ()),
        "member": Visitor(own, b, ("member",)),
        "administrator": Visitor(own, b, everything),
    }
    judge = Judge(marks)
    plain = [one for one in made if one.method == "GET" and not marks_in(one.target, b"", marks)]
    reads = [one for one in made if one.method == "GET"]
    writes = [one for one in made if one.method != "GET"]
    # What brings nothing of the first tenant's along comes first: there whatever is shown is a leak.
    for requests in (plain, reads, list(own.asked), writes):
        for name, visitor in people.items():
            for asked in requests:
                await judge.ask(name, visitor, asked)
    await own.drain()
    wrong = judge.wrong
    for table, now in (await rows_of(own, first)).items():
        if theirs[table] != now:
            wrong.append(f"{table} of another tenant changed: {sorted(set(now) ^ set(theirs[table]))[:2]}")
    wrong += await referring(own, second, {one for of_table in theirs.values() for one in own_ids(of_table)})

    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(document['paths'])} paths, {sum(len(one) for one in ids.values())} ids of {len(ids)} tables:"
            f" {len(own.asked)} repeated and {len(made)} made requests by each of {len(people)} people;"
            f" {len(marks)} texts that only one tenant has, of which its own people were shown {len(seen)},"
            f" and others {len(wrong)}\n"
            f"answers by status: { {name: dict(sorted(one.answers.items())) for name, one in people.items()} }\n"
        )
    assert wrong == [], "\n".join(wrong[:40])
    assert len(seen) > 100, "there was too little to see"
    assert len(own.asked) > 100


def own_ids(rows: list[str]) -> list[str]:
    """The primary keys of rows."""
    return [one["id"] for one in map(json.loads, rows) if UUID_TEXT.fullmatch(str(one.get("id")))]


TOLD_ABOUT = {
    "kernel_audit_entries": "what somebody asked for and was refused is named there",
    "kernel_idempotency_keys": "the answer to a repeated request is kept with what was asked",
}
"""Tables of which a row may name what is another tenant's, and why: it leads nobody there."""


async def referring(platform: TestPlatform, tenants: list[UUID], foreign: set[str]) -> list[str]:
    """The rows of tenants that refer to what is another's."""
    found: list[str] = []
    for table, of_table in (await rows_of(platform, tenants)).items():
        if table not in TOLD_ABOUT:
            found += [
                f"{table}: a row names {sorted(named)[:2]} of another tenant: {row[:300]}"
                for row in of_table
                if (named := set(UUID_TEXT.findall(row)) & foreign)
            ]
    return found
