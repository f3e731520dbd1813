"""Whatever happens, in whichever order: the ledger balances, nothing is negative, and what was written stays."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pegboard.config.model import Config
from pegboard_finance.errors import EscrowInWrongState, PaymentDeclinedByProvider, PaymentUnderWay
from pegboard_finance.sandbox import METHODS
from pegboard_finance.schemas import EscrowFund
from pegboard_finance.service.fees import platform_fee
from pegboard_finance.service.payments import fund_escrow
from pegboard_sdk import Money, Principal, new_id
from pegboard_sdk.services import Escrow

from tests.plugins.finance.factories import open_escrow, run_janitor, stepped
from tests.support.platform import TestPlatform

T = TypeVar("T")

# Every account with what its postings sum to, and its running balance if it has one.
ACCOUNTS = """
SELECT a.purpose, a.owner_id, a.currency, b.amount AS running,
    (SELECT coalesce(sum(p.amount), 0)::bigint FROM finance_postings p WHERE p.account_id = a.id) AS posted
FROM finance_accounts a LEFT JOIN finance_balances b ON b.account_id = a.id
"""

POSTINGS = """
SELECT t.kind, t.reference, p.* FROM finance_postings p JOIN finance_transactions t ON t.id = p.transaction_id
ORDER BY p.transaction_id, p.position
"""


class World:
    """A platform in an event loop of its own: a state machine's steps aren't coroutines."""

    def __init__(self, config: Config) -> None:
        self._runner = asyncio.Runner()
        self.platform = TestPlatform(config)
        self.run(self.platform.start())

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(step)

    def close(self) -> None:
        self.run(self.platform.stop())
        self._runner.close()


class Model(msgspec.Struct):
    """An escrow as it should be. `charged`: the provider has, or will turn out to have, the payer's money."""

    id: UUID
    payer: UUID
    payee: UUID
    money: Money
    state: str = "awaiting_funds"
    lost: str | None = None

    @property
    def fee(self) -> int:
        return platform_fee(self.money.amount, 1_000)


PEOPLE = [new_id() for _ in range(3)]
CURRENCIES = ("EUR", "JPY")
AMOUNTS = st.one_of(st.integers(1, 30), st.integers(1, 10**12))


class LedgerMachine(RuleBasedStateMachine):
    """Three people who trade, pay by every kind of test card, change their minds, and a janitor that comes by."""

    world: World
    escrows = Bundle("escrows")

    def __init__(self) -> None:
        super().__init__()
        self.platform = self.world.platform
        self.models: list[Model] = []
        self.seen: list[dict[str, Any]] = []

    @initialize(target=escrows, amounts=st.lists(AMOUNTS, min_size=2, max_size=4))
    def begin(self, amounts: list[int]) -> MultipleResults[Model]:
        self.tenant = self.world.run(self.platform.tenant())
        models = [self._open(PEOPLE, amount, CURRENCIES[0]) for amount in amounts]
        for model in models[1:]:
            self.fund(model, "card_success")
        return multiple(*models)

    @precondition(lambda self: len(self.models) < 8)
    @rule(target=escrows, people=st.permutations(PEOPLE), amount=AMOUNTS, currency=st.sampled_from(CURRENCIES))
    def open(self, people: list[UUID], amount: int, currency: str) -> Model:
        return self._open(people, amount, currency)

    def _open(self, people: list[UUID], amount: int, currency: str) -> Model:
        money = Money(amount, currency)
        view = self.world.run(open_escrow(self.platform, self.tenant, people[0], people[1], money))
        model = Model(id=view.id, payer=people[0], payee=people[1], money=money)
        self.models.append(model)
        return model

    @rule(model=escrows, action=st.sampled_from(["release", "refund", "card_success", *METHODS]))
    def act(self, model: Model, action: str) -> None:
        # One rule: hypothesis leaves whole rules out of many runs, and these mean little without each other.
        if action in METHODS:
            self.fund(model, action)
        elif action == "release":
            self.release(model)
        else:
            self.refund(model)

    def fund(self, model: Model, method: str) -> None:
        payer = Principal(kind="account", tenant_id=self.tenant, account_id=model.payer)
        how = EscrowFund(provider="sandbox", method=method)
        funding = fund_escrow(stepped(self.platform, payer), model.id, how)
        if model.state not in ("awaiting_funds", "held"):
            with pytest.raises(EscrowInWrongState):
                self.world.run(funding)
        elif model.state == "held":
            assert self.world.run(funding).state == "held"
        elif model.lost is not None:
            with pytest.raises(PaymentUnderWay):
                self.world.run(funding)
        elif method == "card_declined":
            with pytest.raises(PaymentDeclinedByProvider):
                self.world.run(funding)
        else:
            shown = self.world.run(funding)
            if method == "card_success":
                model.state = "held"
            else:
                model.lost = method
            assert shown.state == model.state

    async def _call(self, method: str, escrow_id: UUID) -> str:
        async with self.platform.work(self.platform.system(self.tenant)) as work:
            return (await getattr(work.service(Escrow), method)(work, escrow_id)).state

    def release(self, model: Model) -> None:
        if model.state in ("held", "released"):
            model.state = self.world.run(self._call("release", model.id))
            assert model.state == "released"
        else:
            with pytest.raises(EscrowInWrongState):
                self.world.run(self._call("release", model.id))

    def refund(self, model: Model) -> None:
        if model.state == "released":
            with pytest.raises(EscrowInWrongState):
                self.world.run(self._call("refund", model.id))
            return
        expected = {"held": "refunded", "awaiting_funds": "cancelled"}.get(model.state, model.state)
        model.state = self.world.run(self._call("refund", model.id))
        assert model.state == expected

    @rule()
    def clean_up(self) -> None:
        """The janitor comes, and what is to be given back is given back."""
        self.world.run(run_janitor(self.platform, self.tenant))
        for model in self.models:
            if model.lost == "card_unknown" and model.state == "awaiting_funds":
                model.state = "held"
            if model.lost != "card_unreachable":
                model.lost = None

    async def _look(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        async with self.platform.work(self.platform.system(self.tenant)) as work:
            accounts = [dict(row) for row in await work.fetch(ACCOUNTS)]
            return accounts, [dict(row) for row in await work.fetch(POSTINGS)]

    @invariant()
    def the_ledger_is_right(self) -> None:
        if not hasattr(self, "tenant"):
            return
        accounts, postings = self.world.run(self._look())

        assert postings[: len(self.seen)] == self.seen, "something that was written has changed"
        self.seen = postings
        entries: dict[UUID, int] = {}
        for posting in postings:
            entries[posting["transaction_id"]] = entries.get(posting["transaction_id"], 0) + posting["amount"]
        assert not any(entries.values()), "an entry does not balance"
        for currency in CURRENCIES:
            assert sum(account["posted"] for account in accounts if account["currency"] == currency) == 0
        for account in accounts:
            if account["purpose"] in ("wallet", "escrow"):
                assert account["running"] == account["posted"] >= 0
            else:
                assert account["running"] is None

        posted = {(row["purpose"], row["owner_id"], row["currency"]): row["posted"] for row in accounts}
        for model in self.models:
            held = model.money.amount if model.state == "held" else 0
            assert posted["escrow", model.id, model.money.currency] == held
        for currency in CURRENCIES:
            released = [m for m in self.models if m.state == "released" and m.money.currency == currency]
            assert posted.get(("platform_fees", self.tenant, currency), 0) == sum(m.fee for m in released)
            for person in PEOPLE:
                earned = sum(m.money.amount - m.fee for m in released if m.payee == person)
                assert posted.get(("wallet", person, currency), 0) == earned

    def teardown(self) -> None:
        """In the end nothing is left on its way."""
        if not hasattr(self, "tenant"):
            return
        self.clean_up()
        self.the_ledger_is_right()
        accounts, _ = self.world.run(self._look())
        assert not any(account["posted"] for account in accounts if account["purpose"] == "refunds")


@pytest.fixture
def world(config: Config) -> Iterator[World]:
    made = World(config)
    yield made
    made.close()


def test_the_ledger_holds_whatever_happens(world: World):
    class Machine(LedgerMachine):
        pass

    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
