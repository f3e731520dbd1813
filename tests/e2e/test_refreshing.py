"""Whatever happens around a refresh, who has the token stays logged in: real servers, real HTTP, real kills."""

import asyncio
import hashlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import httpx
import psutil
import pytest
from pegboard.database.tenants import DEFAULT_TENANT

from tests.support.platform import PASSWORD, TestPlatform
from tests.support.postgres_proxy import PostgresProxy
from tests.support.processes import left_of
from tests.support.served import Serve, Served, serving

AUTH = "/api/v1/auth"
PARALLEL = 50
OF_A_REFRESH = b"FOR NO KEY UPDATE OF s"
MANY = {"PEGBOARD_HTTP__RATE_GUESSABLE": "10000", "PEGBOARD_HTTP__RATE_PER_IP": "10000"}


@pytest.fixture
def serve(folder: Path, database_url: str, redis_url: str) -> Iterator[Serve]:
    """Starts servers on free ports; they are ended with the test."""
    yield from serving(folder, database_url, redis_url, **MANY)


@pytest.fixture
async def proxy(folder: Path, database_url: str) -> AsyncIterator[tuple[PostgresProxy, str]]:
    """What stands before PostgreSQL, and the database's URL through it."""
    async with PostgresProxy.open(folder, database_url) as opened:
        yield opened


async def log_in(platform: TestPlatform, served: Served) -> str:
    """A refresh token of a fresh account."""
    ada = await platform.account(DEFAULT_TENANT)
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        answer = await client.post(f"{AUTH}/login", json={"email": ada.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.json()["refresh_token"]


async def refresh(served: Served, token: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        return await client.post(f"{AUTH}/refresh", json={"refresh_token": token})


async def family(platform: TestPlatform, token: str) -> tuple[int, str | None]:
    """How many tokens the token's session has, and why it was ended."""
    async with platform.runtime.database.system_reader() as connection:
        row = await connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM kernel_refresh_tokens WHERE session_id = s.id) AS tokens, s.revoked_reason
            FROM kernel_sessions s JOIN kernel_refresh_tokens t ON t.session_id = s.id WHERE t.digest = $1
            """,
            hashlib.sha256(token.encode()).digest(),
        )
    return row["tokens"], row["revoked_reason"]


async def test_fifty_parallel_refreshes_give_one_child_and_nobody_is_logged_out(
    platform: TestPlatform, serve: Serve
) -> None:
    served = await asyncio.to_thread(serve, "--port", "0")
    token = await log_in(platform, served)
    for generation in range(1, 4):
        answers = await asyncio.gather(*(refresh(served, token) for _ in range(PARALLEL)))
        assert Counter(answer.status_code for answer in answers) == {200: PARALLEL}
        (child,) = {answer.json()["refresh_token"] for answer in answers}
        access = answers[0].json()["access_token"]
        assert await family(platform, token) == (1 + generation, None)
        me = await asyncio.to_thread(httpx.get, f"{served.url}{AUTH}/me", headers={"authorization": f"Bearer {access}"})
        assert me.status_code == 200
        token = child


@pytest.mark.parametrize("withheld", ["commit", "answer"])
async def test_a_kill_amid_a_refresh_logs_nobody_out(
    platform: TestPlatform,
    serve: Serve,
    proxy: tuple[PostgresProxy, str],
    withheld: Literal["commit", "answer"],
) -> None:
    """`commit`: it dies before the rotation; `answer`: between the rotation and the answer. Who hears nothing asks
    again, and another process answers.
    """
    gate, url = proxy
    other = await asyncio.to_thread(serve, "--port", "0")
    doomed = await asyncio.to_thread(serve, "--port", "0", PEGBOARD_DATABASE__URL=url)
    token = await log_in(platform, doomed)

    gate.withhold(withheld, of=OF_A_REFRESH)
    asking = asyncio.create_task(refresh(doomed, token))
    async with asyncio.timeout(30):
        await gate.withheld.wait()
        while withheld == "answer" and await family(platform, token) != (2, None):
            pass
    family_of_processes = [doomed.process, *psutil.Process(doomed.process.pid).children(recursive=True)]
    for process in family_of_processes:
        process.send_signal(signal.SIGKILL)
    with pytest.raises(httpx.TransportError):
        await asking
    assert await asyncio.to_thread(left_of, family_of_processes[1:]) == []

    again = await refresh(other, token)
    assert again.status_code == 200, again.text
    assert await family(platform, token) == (2, None)
    assert (await refresh(other, again.json()["refresh_token"])).status_code == 200
