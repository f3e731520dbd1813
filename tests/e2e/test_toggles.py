"""A plugin goes off and on again and again while people use the platform, and nobody loses anything."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from tests.support import ticker
from tests.support.fleet import until
from tests.support.up import Up, write_config
from tests.support.wire import Answer, Connection

TOGGLES = 20
REQUESTS = 10_000
JOBS = 1_000
EMAIL, PASSWORD = "admin@example.com", "correct horse battery staple"
PLUGINS = "/api/v1/admin/plugins"
GIGS = "/api/v1/creation_studio/gigs?limit=20"


@pytest.fixture
def up(folder: Path) -> Iterator[Up]:
    """A platform with two API processes, two workers, and the plugin `ticker` installed."""
    site = folder / "site"
    site.mkdir()
    ticker.install(site)
    config = write_config(folder)
    config.write_text(config.read_text() + "[plugins.ticker]\nenabled = true\n")
    env = {
        "PYTHONPATH": str(site),
        "PEGBOARD_ADMINISTRATOR__EMAIL": EMAIL,
        "PEGBOARD_ADMINISTRATOR__PASSWORD": PASSWORD,
        "PEGBOARD_HTTP__WORKERS": "2",
        "PEGBOARD_JOBS__PROCESSES": "2",
        "PEGBOARD_HTTP__RATE_PER_IP": "10000000",
        "PEGBOARD_HTTP__RATE_PER_PRINCIPAL": "10000000",
    }
    with Up(config, env=env) as running:
        yield running


class Load:
    """People who use the platform until they are told to stop. `answers` counts by path and status."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.odd: list[tuple[str, Answer]] = []
        self.ticks: set[str] = set()
        self.stopping = False
        self._url = url
        self._headers = headers

    async def read(self) -> None:
        """Look at gigs: of a plugin that stays on, so it always works."""
        async with Connection(self._url, self._headers) as connection:
            while not self.stopping:
                answer = await connection.request("GET", GIGS)
                self._count(GIGS, answer, whole=answer.status == 200 and answer.json()["items"] == [])

    async def tick(self) -> None:
        """Use the plugin that comes and goes: it is wholly there or wholly gone."""
        async with Connection(self._url, self._headers) as connection:
            while not self.stopping:
                answer = await connection.request("POST", ticker.PATH)
                if answer.status == 201:
                    self.ticks.add(answer.json()["id"])
                gone = answer.status == 404 and answer.json()["code"] == "not_found"
                self._count(ticker.PATH, answer, whole=gone or answer.status == 201)
                if len(self.ticks) >= JOBS * 2:
                    # More would only wait in the queue.
                    return

    def _count(self, path: str, answer: Answer, *, whole: bool) -> None:
        self.answers[path, answer.status] += 1
        if not whole:
            self.odd.append((path, answer))


class Operator:
    """Who toggles."""

    def __init__(self, client: httpx.AsyncClient, file: Path) -> None:
        self._client = client
        self._file = file

    async def overview(self) -> Any:
        answer = await self._client.get(PLUGINS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def toggle(self, enabled: bool) -> int:
        """Over the API; gives the revision's number."""
        answer = await self._client.post(f"{PLUGINS}/ticker/{'enable' if enabled else 'disable'}")
        assert answer.status_code == 202, answer.text
        return answer.json()["revision"]["number"]

    async def edit(self, enabled: bool) -> int:
        """In the file, by hand; gives the revision's number."""
        before = (await self.overview())["active"]["number"]
        head, _, tail = self._file.read_text().partition("[plugins.ticker]\nenabled = ")
        self._file.write_text(f"{head}[plugins.ticker]\nenabled = {str(enabled).lower()}\n{tail.partition(chr(10))[2]}")

        async def imported() -> int | None:
            found = await self.overview()
            newest = found["latest"] or found["active"]
            return newest["number"] if newest["number"] > before else None

        return await until(imported, seconds=30)

    async def everywhere(self, number: int) -> None:
        """Wait until every process runs the revision."""

        async def swapped() -> bool:
            found = await self.overview()
            for revision in (found["active"], found["latest"]):
                assert revision is None or revision["state"] != "failed", revision["reason"]
            return {one["active_revision"] for one in found["processes"]} == {number}

        await until(swapped, seconds=60)


async def test_twenty_toggles_under_load_lose_nothing(up: Up) -> None:
    async with httpx.AsyncClient(base_url=up.url, timeout=60) as client:
        answer = await client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
        headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        client.headers.update(headers)
        operator = Operator(client, up.config)
        load = Load(up.url, headers)
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(load.read())
            for _ in range(2):
                group.create_task(load.tick())
            enabled = True
            for number in range(TOGGLES):
                enabled = not enabled
                revision = await (operator.edit(enabled) if number < 2 else operator.toggle(enabled))
                await operator.everywhere(revision)
                # Asked anew: the request that saw the last process swap may have begun before that.
                found = await operator.overview()
                # Two API processes, two workers, the scheduler.
                assert len(found["processes"]) == 5, found["processes"]
                assert ("ticker" in {one["name"] for one in found["plugins"] if one["state"] == "enabled"}) == enabled
            assert enabled

            async def enough() -> bool:
                return sum(load.answers.values()) >= REQUESTS and len(load.ticks) >= JOBS

            await until(enough, seconds=120)
            load.stopping = True

        assert load.odd == []
        assert load.answers[ticker.PATH, 404], "it was never seen to be off"
        assert load.answers[ticker.PATH, 201] == len(load.ticks)

    async def all_done() -> bool:
        return len(set(await strokes(up))) == len(load.ticks)

    # Not by the jobs' states, one look after the other: a job goes from one to the next, and back, between the looks.
    await until(all_done, seconds=120)
    assert Counter(await strokes(up)) == Counter(load.ticks)


async def strokes(up: Up) -> list[str]:
    """The ticks that the jobs struck, in the tables' rows: once for each time."""
    run = msgspec.json.decode((up.config.parent / "var" / "run.json").read_bytes())
    connection = await asyncpg.connect(run["database_url"])
    try:
        await connection.execute("SET ROLE pegboard_system")
        return [str(row["tick_id"]) for row in await connection.fetch("SELECT tick_id FROM ticker_strokes")]
    finally:
        await connection.close()
