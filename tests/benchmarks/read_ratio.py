"""An authenticated read through everything, against a bare handler with the same rows."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from tests.benchmarks.figures import ratio_figure
from tests.benchmarks.gigs import GIGS_PATH, prepare
from tests.benchmarks.load import free_port, get, measure, running_server
from tests.benchmarks.options import Options
from tests.benchmarks.profile_read import profile

NAME = "read_ratio"
PEERS = "tests.benchmarks.peers"


def granian(target: str, port: int) -> list[str]:
    """One granian worker, as `pegboard serve` runs it."""
    return [
        sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--workers", "1", "--http", "1", "--no-ws",
        "--log-level", "warning", "--host", "127.0.0.1", "--port", str(port), f"{PEERS}.{target}:create",
    ]  # fmt: skip


def run(options: Options) -> Iterator[dict[str, Any]]:
    """Interleaved: ours, the bare handler, the bare handler with asyncpg's default reset, FastAPI with SQLAlchemy."""
    url = options.database("bench_read")
    token = prepare(options.config(url))
    env = options.environment(url, BENCH_DATABASE_URL=url)
    bearer = {"authorization": f"Bearer {token}"}
    with ExitStack() as stack:
        ports = {name: free_port() for name in ("ours", "bare", "reset", "fastapi")}
        serve = [sys.executable, "-m", "pegboard", "serve", "--port", str(ports["ours"])]
        ours = (
            stack.enter_context(running_server(serve, port=ports["ours"], env=env, ready="/health/ready")) + GIGS_PATH
        )
        peers = {
            name: stack.enter_context(
                running_server(granian(target, ports[name]), port=ports[name], env={**env, **more}, ready="/ready")
            )
            + "/gigs"
            for name, target, more in (
                ("bare", "bare_litestar", {}),
                ("reset", "bare_litestar", {"BARE_RESET": "1"}),
                ("fastapi", "fastapi_sqlalchemy", {}),
            )
        }
        assert_same(get(ours, bearer), *(get(peer, {}) for peer in peers.values()))
        rates: dict[str, list[float]] = {"ours": [], **{name: [] for name in peers}}
        for _ in range(options.pairs + 1):
            rates["ours"].append(measure(ours, headers=bearer)[0])
            for name, peer in peers.items():
                rates[name].append(measure(peer, headers={})[0])
    rates = {name: values[1:] for name, values in rates.items()}  # the first round warms up
    yield ratio_figure(NAME, rates["ours"], rates["bare"], peer="bare Litestar + asyncpg, no reset", unit="requests/s")
    yield ratio_figure(
        "read_ratio_default_pool", rates["ours"], rates["reset"], peer="bare Litestar + asyncpg's pool as it comes"
    )
    yield ratio_figure("read_ratio_fastapi", rates["ours"], rates["fastapi"], peer="FastAPI + SQLAlchemy async, bare")
    yield ratio_figure(
        "fastapi_to_bare", rates["fastapi"], rates["bare"], peer="FastAPI + SQLAlchemy over bare Litestar"
    )
    yield profile(options.config(url), GIGS_PATH, token)


def assert_same(*bodies: bytes) -> None:
    """All servers give the same gigs: a benchmark of different work would compare nothing."""
    ids = [[item["id"] for item in json.loads(body)["items"]] for body in bodies]
    if len(ids[0]) != 20 or any(other != ids[0] for other in ids):
        raise RuntimeError("the servers don't give the same 20 gigs")
