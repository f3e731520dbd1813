"""Where the time of an authenticated read goes, by part of the program: what `read_ratio` loses, and to whom."""

import asyncio
import cProfile
import io
import pstats
from typing import Any

from pegboard.config.model import Config, LogConfig
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import configure_logging
from pegboard.web.entry import Entry

__all__ = ("profile",)

REQUESTS = 1_500
PARTS = (
    ("asyncpg", ("/asyncpg/",)),
    ("Litestar", ("/litestar/", "/msgspec/", "/multidict/")),
    ("our entry, gate and exchange", ("/pegboard/web/", "/pegboard/work/", "/pegboard_sdk/http.py")),
    ("our database pool", ("/pegboard/database/",)),
    (
        "our token, permissions and generations",
        ("/pegboard/identity/", "/pegboard/plugins/", "/pegboard_sdk/access.py"),
    ),
    ("our log line and metrics", ("/pegboard/telemetry/", "/prometheus_client/", "/structlog/")),
    ("the plugin's handler", ("/pegboard_creation_studio/", "/pegboard_sdk/pagination.py")),
)


def profile(config: Config, path: str, token: str) -> dict[str, Any]:
    """Shares of the time that reads of `path` take in this process, without a socket or waiting for PostgreSQL.

    The profiler is a deterministic one: it makes many small calls look dearer than they are.
    """
    profiler = asyncio.run(_profiled(config, path, token))
    stats: Any = pstats.Stats(profiler, stream=io.StringIO())
    shares = {name: 0.0 for name, _ in PARTS} | {"asyncio and built-ins": 0.0}
    for (file, _, function), (_, _, own, _, _) in stats.stats.items():
        if "epoll" in function or "_socket.socket" in function:
            continue  # waiting, and handing over to PostgreSQL, which on a busy machine then takes our processor
        name = next((name for name, parts in PARTS if any(part in file for part in parts)), "asyncio and built-ins")
        shares[name] += own
    total = sum(shares.values())
    return {"name": "read_profile", "value": None, "shares": {k: round(v / total, 3) for k, v in shares.items()}}


async def _profiled(config: Config, path: str, token: str) -> cProfile.Profile:
    with open("/dev/null", "wb") as nowhere:  # noqa: ASYNC230  # opened once, never blocks
        entry = Entry(config, configure_logging(LogConfig(format="json"), lines=LineBuffer(nowhere)))
        await entry.platform.start()
        try:
            await _read(entry, path, token, 200)
            profiler = cProfile.Profile()
            profiler.enable()
            await _read(entry, path, token, REQUESTS)
            profiler.disable()
        finally:
            await entry.platform.stop()
    return profiler


async def _read(entry: Entry, path: str, token: str, times: int) -> None:
    route, _, query = path.partition("?")
    headers = [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {token}".encode())]

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise RuntimeError(f"{path} answered {message['status']}")

    for _ in range(times):
        scope: Any = {
            "type": "http", "method": "GET", "path": route, "raw_path": route.encode(), "query_string": query.encode(),
            "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http",
            "http_version": "1.1", "root_path": "", "asgi": {"version": "3.0"}, "extensions": {}, "state": {},
        }  # fmt: skip
        await entry(scope, receive, send)
