"""What it costs to find out who asks and whether they may: an access token verified, a permission looked up.

Warm: the token was seen before, as with all but the first request of some minutes. Cold: it is seen for the first time,
so its signature is verified. In a marketplace that has decided something about its roles, with raised rights, so that
nothing is left out; in one process, as each of the platform's does it for each request. No database is asked either
way.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import uvloop
from pegboard.authorization.matrix import MatrixService
from pegboard.authorization.overrides import OverrideService
from pegboard.authorization.schemas import MatrixChange, NewOverride
from pegboard.config.model import Config
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.authenticator import Authenticator
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard.work import transact
from pegboard_sdk import Principal, new_id

from tests.benchmarks.figures import summary
from tests.benchmarks.options import Options

NAME = "authorize_us"
PERMISSION = "finance:wallet.read"
BATCH = 2_000
TOKENS = 500
"""More than one, so that no cache of the processor's holds all that is looked at."""


def run(options: Options) -> Iterator[dict[str, Any]]:
    """The median over batches, in microseconds."""
    config = options.config(options.database("bench_authorize"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        warm, cold = runner.run(_measure(config, batches=options.pairs * 4))
    yield {"name": NAME, **summary(warm), "unit": "us", "bound": 60, "cold": summary(cold)}


async def _measure(config: Config, *, batches: int) -> tuple[list[float], list[float]]:
    runtime = await Runtime.open(config, pool_size=2)
    registry = runtime.registry = load_plugins(runtime.config)
    accounts = [new_id() for _ in range(TOKENS)]
    try:
        await _decide(runtime, registry, accounts)
        await runtime.authenticator.start()
        tokens = [
            runtime.authenticator.tokens.sign(
                account_id=account, tenant_id=DEFAULT_TENANT, session_id=new_id(), roles=["member"]
            )
            for account in accounts
        ]
        cold: list[float] = []
        for token in tokens:
            await runtime.authenticator.revocations.ensure()
            began = time.perf_counter()
            principal = await runtime.authenticator.principal(token, registry)
            principal.require(PERMISSION)
            cold.append((time.perf_counter() - began) * 1e6)
        warm: list[float] = []
        for _ in range(batches):
            await runtime.authenticator.revocations.ensure()
            warm.append(_batch(runtime.authenticator, registry, tokens))
        return warm, [statistics.median(cold[at : at + 50]) for at in range(0, TOKENS, 50)]
    finally:
        await runtime.close()


def _batch(authenticator: Authenticator, registry: Registry, tokens: list[str]) -> float:
    """Microseconds for one decision, the mean of a batch."""
    began = time.perf_counter()
    for number in range(BATCH):
        principal = authenticator.cached(tokens[number % TOKENS], registry)
        if principal is None:
            raise RuntimeError("a token that was seen before is not known any more")
        principal.require(PERMISSION)
    return (time.perf_counter() - began) / BATCH * 1e6


async def _decide(runtime: Runtime, registry: Registry, accounts: list[UUID]) -> None:
    """A marketplace that has edited its matrix, and raised the rights of some."""
    system = Principal(kind="system", tenant_id=DEFAULT_TENANT)
    async with transact(runtime, registry, system, "benchmark") as work:
        change = MatrixChange(role="member", permission="finance:ledger.read", granted=True)
        await MatrixService(work).edit([change], reason="benchmark", if_match="*")
        await work.executemany(
            "INSERT INTO kernel_accounts (id, tenant_id, email, display_name) VALUES ($1, $2, $3, 'Ada')",
            [(account, DEFAULT_TENANT, f"{account.hex}@example.com") for account in accounts[::10]],
        )
        for account in accounts[::10]:
            await OverrideService(work).grant(
                NewOverride(
                    account_id=account, permission="finance:escrow.refund", reason="benchmark", expires_in=3_600
                )
            )
