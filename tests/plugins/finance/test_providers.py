"""Providers that misbehave, crashes between the steps, and answers that come late."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec
import pytest
from pegboard_finance.errors import EscrowInWrongState, ProviderAnsweredWrongly
from pegboard_finance.plugin import payment_providers
from pegboard_finance.sandbox import SandboxProvider
from pegboard_finance.schemas import EscrowFund
from pegboard_finance.service.payments import SettlePayments, fund_escrow, settle_payments
from pegboard_finance.service.returns import ReturnPayment, return_payment
from pegboard_finance.settings import Settings
from pegboard_sdk import Money, SteppedUnitOfWork
from pegboard_sdk.payments import Charge, ChargeRequest, PaymentProvider, PaymentUnknown
from pegboard_sdk.services import Escrow

from tests.plugins.finance.factories import (
    Deal,
    held_deal,
    ledger_totals,
    open_deal,
    run_janitor,
    stepped,
    with_finance,
)
from tests.plugins.finance.test_funding import charges, make_old
from tests.support.platform import TestPlatform

HELD = {"provider_clearing": -10_000, "escrow": 10_000}
CARD = EscrowFund(provider="sandbox", method="card_success")

Step = Callable[[], Awaitable[None]]


class Crash(BaseException):
    """The process ends."""


async def nothing() -> None:
    """Between the steps, most of the time."""


class Troubled:
    """The sandbox, with something that happens before a charge reaches it, after, or as it gives money back."""

    name = "sandbox"

    def __init__(self, *, before: Step = nothing, after: Step = nothing, refunding: Step = nothing) -> None:
        self.before = before
        self.after = after
        self.refunding = refunding

    def bind(self, uow: SteppedUnitOfWork) -> PaymentProvider:
        return _Bound(self, SandboxProvider().bind(uow))


class _Bound:
    name = "sandbox"

    def __init__(self, trouble: Troubled, sandbox: PaymentProvider) -> None:
        self.trouble = trouble
        self.sandbox = sandbox

    async def charge(self, request: ChargeRequest) -> Charge:
        await self.trouble.before()
        charge = await self.sandbox.charge(request)
        await self.trouble.after()
        return charge

    async def find(self, reference: str) -> Charge | None:
        return await self.sandbox.find(reference)

    async def refund(self, charge: Charge, *, reference: str) -> Charge:
        refunded = await self.sandbox.refund(charge, reference=reference)
        await self.trouble.refunding()
        return refunded


async def crash() -> None:
    raise Crash


async def lose() -> None:
    raise PaymentUnknown("the connection broke")


async def pay(platform: TestPlatform, deal: Deal, trouble: object, **settings: float) -> str:
    """Fund as the payer, with that provider. Gives the escrow's state."""
    registry = with_finance(platform, providers=[trouble], **settings)
    return (await fund_escrow(stepped(platform, deal.payer, registry), deal.id, CARD)).state


async def call(platform: TestPlatform, deal: Deal, method: str) -> None:
    async with platform.work(platform.system(deal.tenant)) as work:
        await getattr(work.service(Escrow), method)(work, deal.id)


async def payment_state(deal: Deal) -> str:
    return (await deal.payer.client.get(deal.path)).json()["payment"]["state"]


async def test_a_crash_before_the_charge_costs_nothing(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    with pytest.raises(Crash):
        await pay(platform, deal, Troubled(before=crash))

    await run_janitor(platform, tenant)
    assert await payment_state(deal) == "pending"
    await make_old(platform, tenant)
    await run_janitor(platform, tenant)

    assert await payment_state(deal) == "lapsed"
    assert await charges(platform, tenant) == []
    assert await pay(platform, deal, SandboxProvider()) == "held"


async def test_a_crash_after_the_charge_is_settled_by_the_janitor(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    with pytest.raises(Crash):
        await pay(platform, deal, Troubled(after=crash))

    await run_janitor(platform, tenant)
    assert await payment_state(deal) == "pending", "a payment that may still be under way is left alone"
    await make_old(platform, tenant)
    await run_janitor(platform, tenant)

    assert await payment_state(deal) == "succeeded"
    assert await charges(platform, tenant) == ["succeeded"]
    assert await ledger_totals(platform, tenant) == HELD


async def test_a_provider_that_does_not_answer_in_time(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    forever = asyncio.Event()

    async def hang() -> None:
        await forever.wait()

    assert await pay(platform, deal, Troubled(after=hang), provider_timeout=0.2) == "awaiting_funds"
    assert await payment_state(deal) == "unknown"
    await run_janitor(platform, tenant)

    assert await ledger_totals(platform, tenant) == HELD


async def test_the_janitor_and_the_payer_settle_at_once(platform: TestPlatform, tenant: UUID):
    """The answer comes while the janitor has settled already."""
    deal = await open_deal(platform, tenant)

    async def janitor() -> None:
        await make_old(platform, tenant)
        await run_janitor(platform, tenant)

    assert await pay(platform, deal, Troubled(after=janitor)) == "held"
    assert await ledger_totals(platform, tenant) == HELD
    async with platform.work(platform.system(tenant)) as work:
        assert await work.fetchval("SELECT count(*) FROM kernel_events WHERE name = 'finance.escrow_funded'") == 1


async def test_money_for_an_escrow_that_was_called_off_goes_back(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    async def cancel() -> None:
        await call(platform, deal, "refund")

    with pytest.raises(EscrowInWrongState):
        await pay(platform, deal, Troubled(after=cancel))

    assert await ledger_totals(platform, tenant) == {"provider_clearing": -10_000, "refunds": 10_000}
    await platform.drain()
    assert await ledger_totals(platform, tenant) == {}
    assert await charges(platform, tenant) == ["refunded"]
    assert (await deal.payer.client.get(deal.path)).json()["state"] == "cancelled"


async def test_a_late_charge_beside_a_newer_one_goes_back(platform: TestPlatform, tenant: UUID):
    """The first payment was given up, a second one paid, and then the first arrives after all."""
    deal = await open_deal(platform, tenant)

    async def give_up_and_pay_again() -> None:
        await make_old(platform, tenant)
        await run_janitor(platform, tenant)
        assert await payment_state(deal) == "lapsed"
        assert await pay(platform, deal, SandboxProvider()) == "held"

    assert await pay(platform, deal, Troubled(before=give_up_and_pay_again)) == "held"
    await platform.drain()

    assert sorted(await charges(platform, tenant)) == ["refunded", "succeeded"]
    assert await ledger_totals(platform, tenant) == HELD


async def test_a_late_charge_after_the_janitor_gave_up_funds_the_escrow(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)

    async def give_up() -> None:
        await make_old(platform, tenant)
        await run_janitor(platform, tenant)

    assert await pay(platform, deal, Troubled(before=give_up)) == "held"
    assert await ledger_totals(platform, tenant) == HELD


class Liar:
    """Says that it took a cent more than it was asked to."""

    name = "sandbox"

    async def charge(self, request: ChargeRequest) -> Charge:
        return Charge(
            provider_id="x",
            reference=request.reference,
            state="succeeded",
            money=Money(request.money.amount + 1, request.money.currency),
        )

    async def find(self, reference: str) -> Charge | None:
        return Charge(provider_id="x", reference="another", state="succeeded", money=Money(10_000, "EUR"))

    async def refund(self, charge: Charge, *, reference: str) -> Charge:
        return charge


async def test_an_answer_about_another_payment_is_not_believed(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    registry = with_finance(platform, providers=[Liar()])
    with pytest.raises(ProviderAnsweredWrongly):
        await fund_escrow(stepped(platform, deal.payer, registry), deal.id, CARD)

    await make_old(platform, tenant)
    with pytest.raises(ExceptionGroup) as failed:
        await settle_payments(stepped(platform, platform.system(tenant), registry), SettlePayments())

    assert failed.group_contains(ProviderAnsweredWrongly)
    assert await payment_state(deal) == "pending"
    assert await ledger_totals(platform, tenant) == {}


async def test_one_provider_that_fails_does_not_keep_the_others_waiting(platform: TestPlatform, tenant: UUID):
    broken, fine = await open_deal(platform, tenant), await open_deal(platform, tenant)
    liar = Liar()
    liar.name = "liar"
    registry = with_finance(platform, providers=[liar, SandboxProvider()])
    lost = EscrowFund(provider="sandbox", method="card_unknown")
    with pytest.raises(ProviderAnsweredWrongly):
        await fund_escrow(
            stepped(platform, broken.payer, registry), broken.id, msgspec.structs.replace(CARD, provider="liar")
        )
    await fund_escrow(stepped(platform, fine.payer, registry), fine.id, lost)
    await make_old(platform, tenant)

    with pytest.raises(ExceptionGroup):
        await settle_payments(stepped(platform, platform.system(tenant), registry), SettlePayments())

    assert await payment_state(fine) == "succeeded"


async def test_payments_of_a_provider_that_is_off_wait_for_it(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    await pay(platform, deal, Troubled(after=lose))

    without = with_finance(platform, providers=[])
    await settle_payments(stepped(platform, platform.system(tenant), without), SettlePayments())
    assert await payment_state(deal) == "unknown"
    await run_janitor(platform, tenant)

    assert await payment_state(deal) == "succeeded"


@pytest.mark.parametrize("trouble", [crash, lose])
async def test_a_return_that_breaks_off_is_repeated_and_pays_once(platform: TestPlatform, tenant: UUID, trouble: Step):
    deal = await held_deal(platform, tenant)
    await call(platform, deal, "refund")
    payment = ReturnPayment(UUID((await deal.payer.client.get(deal.path)).json()["payment"]["id"]))
    registry = with_finance(platform, providers=[Troubled(refunding=trouble)])

    with pytest.raises((Crash, PaymentUnknown)):
        await return_payment(stepped(platform, platform.system(tenant), registry), payment)
    assert await payment_state(deal) == "returning"
    assert await ledger_totals(platform, tenant) == {"provider_clearing": -10_000, "refunds": 10_000}

    await platform.drain()
    await return_payment(stepped(platform, platform.system(tenant)), payment)
    assert await payment_state(deal) == "returned"
    assert await charges(platform, tenant) == ["refunded"]
    assert await ledger_totals(platform, tenant) == {}


async def test_what_was_given_back_is_not_asked_for_again(platform: TestPlatform, tenant: UUID):
    deal = await held_deal(platform, tenant)
    await call(platform, deal, "refund")
    await platform.drain()
    payment = ReturnPayment(UUID((await deal.payer.client.get(deal.path)).json()["payment"]["id"]))

    registry = with_finance(platform, providers=[Troubled(refunding=crash)])
    await return_payment(stepped(platform, platform.system(tenant), registry), payment)

    assert await payment_state(deal) == "returned"


async def test_two_who_give_back_at_once_book_it_once(platform: TestPlatform, tenant: UUID):
    """As when a worker is thought dead and isn't."""
    deal = await held_deal(platform, tenant)
    await call(platform, deal, "refund")
    payment = ReturnPayment(UUID((await deal.payer.client.get(deal.path)).json()["payment"]["id"]))
    both = asyncio.Barrier(2)

    async def meet() -> None:
        await both.wait()

    registry = with_finance(platform, providers=[Troubled(refunding=meet)])
    await asyncio.gather(
        *(return_payment(stepped(platform, platform.system(tenant), registry), payment) for _ in range(2))
    )

    assert await ledger_totals(platform, tenant) == {}
    async with platform.runtime.database.system_transaction() as connection:
        audited = "SELECT count(*) FROM kernel_audit_entries WHERE action = 'finance:payment.return' AND object_id = $1"
        assert await connection.fetchval(audited, str(payment.payment_id)) == 1


async def test_a_refund_that_the_provider_denies_is_not_booked(platform: TestPlatform, tenant: UUID):
    deal = await held_deal(platform, tenant)
    await call(platform, deal, "refund")
    payment = ReturnPayment(UUID((await deal.payer.client.get(deal.path)).json()["payment"]["id"]))
    registry = with_finance(platform, providers=[Liar()])

    with pytest.raises(ProviderAnsweredWrongly):
        await return_payment(stepped(platform, platform.system(tenant), registry), payment)

    assert await payment_state(deal) == "returning"


async def test_without_the_setting_there_is_no_sandbox(platform: TestPlatform):
    class Context:
        name = "finance"

        def settings(self, type: type[Settings]) -> Settings:
            return type()

    assert payment_providers(Context()) == []  # type: ignore[arg-type]  # asks for these settings only
    assert [provider.name for provider in platform.registry.extensions["payment_providers"]] == ["sandbox"]


async def test_no_transaction_is_open_while_a_provider_is_called(platform: TestPlatform, tenant: UUID):
    deal = await open_deal(platform, tenant)
    open_transactions: list[int] = []

    async def look() -> None:
        async with platform.runtime.database.system_transaction() as connection:
            open_transactions.append(
                await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND xact_start IS NOT NULL",
                    f"pegboard:{tenant}",
                )
            )

    await pay(platform, deal, Troubled(before=look, after=look, refunding=look))
    await call(platform, deal, "refund")
    payment = ReturnPayment(UUID((await deal.payer.client.get(deal.path)).json()["payment"]["id"]))
    registry = with_finance(platform, providers=[Troubled(refunding=look)])
    await return_payment(stepped(platform, platform.system(tenant), registry), payment)

    assert open_transactions == [0, 0, 0]


async def test_who_logs_out_while_the_provider_works_has_paid(platform: TestPlatform, tenant: UUID):
    """The money was taken: settling it is not refused because the session has ended meanwhile."""
    deal = await open_deal(platform, tenant)

    async def log_out() -> None:
        assert (await deal.payer.client.post("/api/v1/auth/logout")).status_code == 204

    await pay(platform, deal, Troubled(after=log_out))
    async with platform.work(platform.system(tenant)) as work:
        assert (await work.service(Escrow).get(work, deal.id)).state == "held"
