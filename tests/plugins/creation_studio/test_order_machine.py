"""Whatever people and payments do, and in whatever order, an order goes only where its state machine lets it."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pegboard_creation_studio.states import ORDERS, performers
from pegboard_sdk import new_id
from pegboard_sdk.services import Escrow

from tests.plugins.creation_studio.factories import act, pay, place, publish, state_of
from tests.support.platform import Account, TestPlatform

SETTLED = {
    "pending_payment": "awaiting_funds",
    "in_progress": "held",
    "delivered": "held",
    "completed": "released",
    "refunded": "refunded",
}
"""What an order's escrow is once the order has heard of everything. That of a cancelled one was paid or not."""


class Model:
    """What must become of an order, its escrow, and the events that are still on their way from one to the other."""

    def __init__(self) -> None:
        self.order = "pending_payment"
        self.escrow = "awaiting_funds"
        self.coming: list[str] = []

    def pay(self) -> int:
        if self.escrow == "awaiting_funds":
            self.escrow = "held"
            self.coming.append("fund")
        return 200 if self.escrow == "held" else 409

    def give_back(self) -> int:
        if self.escrow == "released":
            return 409
        if self.escrow in ("held", "awaiting_funds"):
            action, self.escrow = ("refund", "refunded") if self.escrow == "held" else ("cancel", "cancelled")
            self.coming.append(action)
        return 200

    def hear(self) -> None:
        for action in self.coming:
            transition = ORDERS[self.order].get(action)
            if transition is not None:
                self.order = transition.state
        self.coming.clear()

    def act(self, who: str, action: str) -> int:
        if who == "stranger":
            return 404
        if who not in performers(ORDERS, action):
            return 403
        transition = ORDERS[self.order].get(action)
        if transition is None or who not in transition.by:
            return 409
        if action == "accept":
            if self.escrow != "held":
                return 409
            self.escrow = "released"
        elif action == "cancel":
            self.give_back()
        self.order = transition.state
        return 200


class Market:
    """A seller with a gig, a buyer and a stranger, on the real platform."""

    def __init__(self, platform: TestPlatform, gig: dict[str, Any], people: dict[str, Account]) -> None:
        self.platform = platform
        self.gig = gig
        self.people = people

    async def place(self) -> dict[str, Any]:
        return await place(self.people["buyer"], self.gig)

    async def do(self, order: dict[str, Any], who: str, action: str) -> int:
        """The status that the action is answered with; 200 for what nobody is answered."""
        if action == "hear":
            await self.platform.drain()
        elif action == "give_back":
            return await self.give_back(order)
        elif action == "pay":
            return (await pay(self.people["buyer"], order)).status_code
        else:
            return (await act(self.people[who], order, action)).status_code
        return 200

    async def give_back(self, order: dict[str, Any]) -> int:
        response = await self.people["administrator"].client.post(
            f"/api/v1/finance/escrows/{order['escrow_id']}/refund", headers={"Idempotency-Key": new_id().hex}
        )
        return response.status_code

    async def escrow(self, order: dict[str, Any]) -> str:
        buyer = self.people["buyer"]
        async with self.platform.work(buyer) as uow:
            return (await uow.service(Escrow).get(uow, order["escrow_id"])).state


@pytest.fixture(scope="module")
async def market(platform: TestPlatform) -> Market:
    tenant = await platform.tenant()
    people = {name: await platform.account(tenant) for name in ("seller", "buyer", "stranger")}
    people["administrator"] = await platform.account(tenant, ("member", "administrator"))
    return Market(platform, await publish(people["seller"]), people)


steps = st.one_of(
    st.tuples(st.sampled_from(["seller", "buyer"]), st.sampled_from(["deliver", "accept", "cancel"])),
    st.sampled_from([("buyer", "pay"), ("system", "hear"), ("administrator", "give_back")]),
    st.sampled_from([("stranger", "accept"), ("stranger", "cancel")]),
)
# Chance seldom pays, hears of it and delivers; half of the walks begin there.
beginnings = st.sampled_from([[], [("buyer", "pay"), ("system", "hear")]])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(beginning=beginnings, rest=st.lists(steps, max_size=8))
async def test_an_order_goes_only_where_its_machine_lets_it(
    market: Market, beginning: list[tuple[str, str]], rest: list[tuple[str, str]]
):
    model, order = Model(), await market.place()
    for who, action in [*beginning, *rest, ("system", "hear")]:
        if action == "hear":
            model.hear()
            wanted = 200
        elif action in ("pay", "give_back"):
            wanted = getattr(model, action)()
        else:
            wanted = model.act(who, action)
        assert await market.do(order, who, action) == wanted, (who, action)
        assert await state_of(market.people["buyer"], order) == model.order, (who, action)
        assert await market.escrow(order) == model.escrow, (who, action)
    assert SETTLED.get(model.order, model.escrow) == model.escrow
