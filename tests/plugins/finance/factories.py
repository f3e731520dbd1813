"""What the tests of finance start from: two people with an escrow between them, and a look into the ledger."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import msgspec
from pegboard.plugins.registry import Registry
from pegboard.work import SteppedWork
from pegboard_finance.jobs import JOBS
from pegboard_finance.service.payments import SETTLE_PAYMENTS, SettlePayments
from pegboard_finance.settings import Settings
from pegboard_sdk import Money, Principal, new_id
from pegboard_sdk.services import Escrow, EscrowView

from tests.support.platform import Account, TestPlatform

__all__ = (
    "Deal",
    "amount_in",
    "fund",
    "held_deal",
    "ledger_totals",
    "open_deal",
    "open_escrow",
    "run_janitor",
    "stepped",
    "with_finance",
)


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """An escrow and the people around it."""

    tenant: UUID
    payer: Account
    payee: Account
    escrow: EscrowView

    @property
    def id(self) -> UUID:
        return self.escrow.id

    @property
    def path(self) -> str:
        return f"/api/v1/finance/escrows/{self.escrow.id}"


async def open_escrow(platform: TestPlatform, tenant: UUID, payer: UUID, payee: UUID, money: Money) -> EscrowView:
    """An escrow that waits for its payer's money, opened as another plugin would."""
    async with platform.work(platform.system(tenant)) as work:
        return await work.service(Escrow).open(
            work, reference=f"test.deal:{new_id()}", payer=payer, payee=payee, money=money
        )


async def open_deal(platform: TestPlatform, tenant: UUID, amount: int = 10_000, currency: str = "EUR") -> Deal:
    """Two members with an escrow between them."""
    payer, payee = await platform.account(tenant), await platform.account(tenant)
    escrow = await open_escrow(platform, tenant, payer.id, payee.id, Money(amount, currency))
    return Deal(tenant=tenant, payer=payer, payee=payee, escrow=escrow)


async def fund(
    deal: Deal, method: str = "card_success", *, key: str = "", who: Account | None = None
) -> httpx.Response:
    """Ask for the escrow to be funded, as its payer unless somebody else is named."""
    return await (who or deal.payer).client.post(
        f"{deal.path}/fund",
        json={"provider": "sandbox", "method": method},
        headers={"Idempotency-Key": key or str(new_id())},
    )


async def held_deal(platform: TestPlatform, tenant: UUID, amount: int = 10_000) -> Deal:
    """A deal whose escrow holds the payer's money."""
    deal = await open_deal(platform, tenant, amount)
    funded = await fund(deal)
    assert funded.status_code == 200, funded.text
    return deal


async def ledger_totals(platform: TestPlatform, tenant: UUID) -> dict[str, int]:
    """Balance by purpose (in one currency), summed from the postings."""
    async with platform.work(platform.system(tenant)) as work:
        rows = await work.fetch(
            "SELECT a.purpose, sum(p.amount)::bigint AS balance FROM finance_postings p"
            " JOIN finance_accounts a ON a.id = p.account_id GROUP BY a.purpose"
        )
    return {row["purpose"]: row["balance"] for row in rows if row["balance"]}


async def amount_in(platform: TestPlatform, tenant: UUID, purpose: str, owner: UUID, currency: str = "EUR") -> int:
    """The running balance of one account."""
    async with platform.work(platform.system(tenant)) as work:
        return await work.fetchval(
            "SELECT b.amount FROM finance_balances b JOIN finance_accounts a ON a.id = b.account_id"
            " WHERE a.purpose = $1 AND a.owner_id = $2 AND a.currency = $3",
            purpose,
            owner,
            currency,
        )


async def run_janitor(platform: TestPlatform, tenant: UUID) -> None:
    """What the schedule does every minute, and all that follows from it."""
    async with platform.work(platform.system(tenant)) as work:
        await work.enqueue(SETTLE_PAYMENTS, SettlePayments())
    await platform.drain()
    async with platform.work(platform.system(tenant)) as work:
        unfinished = await work.fetch(
            "SELECT name, state, error FROM kernel_jobs WHERE name = ANY ($1) AND state <> 'succeeded'",
            [job.name for job in JOBS],
        )
    assert not unfinished, [dict(job) for job in unfinished]


def with_finance(platform: TestPlatform, *, providers: Sequence[Any] | None = None, **settings: Any) -> Registry:
    """The platform's registry with other payment providers, or other settings of finance."""
    registry = platform.registry
    changed = msgspec.structs.replace(registry.settings[Settings], **settings)
    extensions = dict(registry.extensions)
    if providers is not None:
        extensions["payment_providers"] = providers
    return msgspec.structs.replace(registry, settings={**registry.settings, Settings: changed}, extensions=extensions)


def stepped(platform: TestPlatform, who: Account | Principal, registry: Registry | None = None) -> SteppedWork:
    """A unit of work for what calls out."""
    principal = who.principal if isinstance(who, Account) else who
    return SteppedWork(platform.runtime, registry or platform.registry, principal, new_id().hex)
