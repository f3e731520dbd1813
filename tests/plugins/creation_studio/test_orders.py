"""Orders from placing to payment: who may see and do what, and what happens to the money."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from pegboard.work import transact
from pegboard_creation_studio.errors import PaymentsUnavailable
from pegboard_creation_studio.events import EscrowChanged
from pegboard_creation_studio.handlers import cancel_order, refund_order, start_order
from pegboard_creation_studio.schemas import Order, OrderDetail
from pegboard_creation_studio.service.orders import OrderService
from pegboard_sdk import new_id
from pegboard_sdk.pagination import Page
from pegboard_sdk.services import Escrow

from tests.plugins.creation_studio.factories import GIGS, ORDERS, act, draft, fund, place, publish, state_of, walk
from tests.support.platform import Account, TestPlatform
from tests.support.servers import TEMPLATE, create_database, make_config


@pytest.fixture
async def seller(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant)


@pytest.fixture
async def buyer(platform: TestPlatform, tenant: UUID) -> Account:
    return await platform.account(tenant)


@pytest.fixture
async def gig(seller: Account) -> dict[str, Any]:
    return await publish(seller)


@pytest.fixture
async def order(buyer: Account, gig: dict[str, Any]) -> dict[str, Any]:
    return await place(buyer, gig, note="In blue, please.")


async def escrow_state(platform: TestPlatform, order: dict[str, Any]) -> str:
    async with platform.runtime.database.system_transaction() as connection:
        return await connection.fetchval("SELECT state FROM finance_escrows WHERE id = $1", UUID(order["escrow_id"]))


async def emitted(platform: TestPlatform, tenant: UUID) -> list[str]:
    """The names of this plugin's events about orders."""
    async with platform.runtime.database.system_transaction() as connection:
        rows = await connection.fetch(
            "SELECT name FROM kernel_events WHERE tenant_id = $1 AND name LIKE 'creation_studio.order_%' ORDER BY id",
            tenant,
        )
    return [row["name"].removeprefix("creation_studio.order_") for row in rows]


async def started(platform: TestPlatform, buyer: Account, order: dict[str, Any]) -> None:
    """Pay for the order, and let it hear of it."""
    await fund(buyer, order)
    await platform.drain()


async def test_from_order_to_payment(
    platform: TestPlatform, seller: Account, buyer: Account, gig: dict[str, Any], order: dict[str, Any]
):
    assert order == order | {
        "gig_id": gig["id"],
        "gig_title": gig["title"],
        "buyer_id": str(buyer.id),
        "seller_id": str(seller.id),
        "state": "pending_payment",
        "price": gig["price"],
        "delivery_days": gig["delivery_days"],
        "note": "In blue, please.",
        "due_at": None,
    }
    await fund(buyer, order)
    assert await state_of(buyer, order) == "pending_payment"
    await platform.drain()
    paid = (await seller.client.get(f"{ORDERS}/{order['id']}")).json()
    assert paid["state"] == "in_progress"
    due = datetime.fromisoformat(paid["due_at"]) - datetime.fromisoformat(paid["updated_at"])
    assert abs(due - timedelta(days=gig["delivery_days"])) < timedelta(minutes=1)

    first = await seller.client.post(f"{ORDERS}/{order['id']}/deliver", json={"message": "A first version."})
    assert (first.status_code, first.json()["state"]) == (200, "delivered")
    second = await seller.client.post(f"{ORDERS}/{order['id']}/deliver", json={"message": "In blue."})
    assert (second.status_code, second.json()["state"]) == (200, "delivered")
    shown = (await buyer.client.get(f"{ORDERS}/{order['id']}")).json()
    assert [delivery["message"] for delivery in shown["deliveries"]] == ["A first version.", "In blue."]
    assert {name: shown[name] for name in second.json()} == second.json()

    accepted = await act(buyer, order, "accept")
    assert (accepted.status_code, accepted.json()["state"]) == (200, "completed")
    assert await escrow_state(platform, order) == "released"
    wallets = (await seller.client.get("/api/v1/finance/balance")).json()["wallets"]
    assert [wallet["currency"] for wallet in wallets] == ["EUR"]
    assert 0 < wallets[0]["amount"] <= gig["price"]["amount"]

    assert await emitted(platform, seller.tenant_id) == ["placed", "started", "delivered", "delivered", "completed"]
    async with platform.runtime.database.system_transaction() as connection:
        entries = await connection.fetch(
            "SELECT action FROM kernel_audit_entries WHERE object_id = $1 ORDER BY id", order["id"]
        )
    assert [entry["action"].removeprefix("creation_studio:order.") for entry in entries] == [
        "place",
        "start",
        "deliver",
        "deliver",
        "accept",
    ]


async def test_who_delivers_before_the_payment_is_known_is_told_to_wait(seller: Account, order: dict[str, Any]):
    """The order hears of the payment by an event, a moment after the escrow was funded."""
    refused = await act(seller, order, "deliver")
    assert refused.json()["code"] == "creation_studio.order_in_wrong_state"
    assert refused.json()["detail"].endswith("If it was just paid, try again in a moment.")


async def test_an_order_keeps_the_terms_that_it_was_placed_at(seller: Account, buyer: Account, gig: dict[str, Any]):
    order = await place(buyer, gig)
    await seller.client.patch(
        f"{GIGS}/{gig['id']}",
        json={"title": "Twice as dear", "price": {"amount": 25_000, "currency": "EUR"}, "delivery_days": 1},
        headers={"If-Match": "*"},
    )
    await seller.client.post(f"{GIGS}/{gig['id']}/archive")
    shown = (await buyer.client.get(f"{ORDERS}/{order['id']}")).json()
    assert {name: shown[name] for name in order} == order


class TestPlacing:
    """`POST /orders`."""

    async def test_nobody_orders_from_themselves(self, seller: Account, gig: dict[str, Any]):
        response = await seller.client.post(
            ORDERS, json={"gig_id": gig["id"]}, headers={"Idempotency-Key": new_id().hex}
        )
        assert (response.status_code, response.json()["code"]) == (403, "creation_studio.own_gig")

    async def test_only_what_is_published_can_be_ordered(self, seller: Account, buyer: Account):
        hidden = await draft(seller)
        archived = await publish(seller)
        await seller.client.post(f"{GIGS}/{archived['id']}/archive")
        for gig_id in (hidden["id"], archived["id"], str(new_id())):
            response = await buyer.client.post(
                ORDERS, json={"gig_id": gig_id}, headers={"Idempotency-Key": new_id().hex}
            )
            assert (response.status_code, response.json()["code"]) == (404, "creation_studio.gig_not_found")

    async def test_another_tenant_s_gig_can_not_be_ordered(self, platform: TestPlatform, gig: dict[str, Any]):
        elsewhere = await platform.account(await platform.tenant())
        response = await elsewhere.client.post(
            ORDERS, json={"gig_id": gig["id"]}, headers={"Idempotency-Key": new_id().hex}
        )
        assert response.status_code == 404

    async def test_it_needs_an_idempotency_key(self, buyer: Account, gig: dict[str, Any]):
        response = await buyer.client.post(ORDERS, json={"gig_id": gig["id"]})
        assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_missing")
        assert await walk(buyer.client, ORDERS) == []

    async def test_two_at_once_with_one_key_make_one(self, platform: TestPlatform, buyer: Account, gig: dict[str, Any]):
        async def try_once() -> tuple[int, str]:
            response = await buyer.client.post(ORDERS, json={"gig_id": gig["id"]}, headers=headers)
            return response.status_code, response.json().get("id") or response.json()["code"]

        for _ in range(5):
            headers = {"Idempotency-Key": new_id().hex}
            answers = await asyncio.gather(*(try_once() for _ in range(4)))
            made = {order_id for status, order_id in answers if status == 201}
            assert len(made) == 1
            assert {answer for answer in answers if answer[0] != 201} <= {(409, "idempotency_key_in_flight")}
            assert await try_once() == (201, made.pop())
        assert len(await walk(buyer.client, ORDERS)) == 5
        async with platform.runtime.database.system_transaction() as connection:
            opened = await connection.fetchval(
                "SELECT count(*) FROM finance_escrows WHERE tenant_id = $1", buyer.tenant_id
            )
        assert opened == 5

    async def test_the_same_key_with_another_order_is_refused(self, buyer: Account, gig: dict[str, Any]):
        headers = {"Idempotency-Key": new_id().hex}
        assert (await buyer.client.post(ORDERS, json={"gig_id": gig["id"]}, headers=headers)).status_code == 201
        other = await buyer.client.post(ORDERS, json={"gig_id": gig["id"], "note": "Twice"}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"gig_id": "mine"}, "/gig_id"),
            ({"gig_id": str(new_id()), "note": "x" * 2_001}, "/note"),
            ({"gig_id": str(new_id()), "note": "\x00"}, "/note"),
            ({"gig_id": str(new_id()), "price": 1}, "/price"),
        ],
    )
    async def test_a_refused_value_is_named(self, buyer: Account, body: dict[str, Any], pointer: str):
        response = await buyer.client.post(ORDERS, json=body, headers={"Idempotency-Key": new_id().hex})
        assert response.status_code == 400
        assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


class TestStrangers:
    """An order is its buyer's and its seller's."""

    async def test_it_is_404_for_everybody_else(self, platform: TestPlatform, order: dict[str, Any], buyer: Account):
        tenant = buyer.tenant_id
        member = await platform.account(tenant)
        administrator = await platform.account(tenant, ("member", "administrator"))
        elsewhere = await platform.account(await platform.tenant())
        for account in (member, administrator, elsewhere):
            shown = await account.client.get(f"{ORDERS}/{order['id']}")
            assert (shown.status_code, shown.json()["code"]) == (404, "creation_studio.order_not_found")
            for action in ("deliver", "accept", "cancel"):
                refused = await act(account, order, action)
                assert (refused.status_code, refused.json()["code"]) == (404, "creation_studio.order_not_found")
            assert await walk(account.client, ORDERS) == []
        assert (await platform.anonymous(tenant).get(f"{ORDERS}/{order['id']}")).status_code == 401
        assert await state_of(buyer, order) == "pending_payment"

    async def test_rows_stay_in_their_tenant(self, platform: TestPlatform, order: dict[str, Any], seller: Account):
        async with platform.runtime.database.system_transaction() as connection:
            await connection.execute(
                "INSERT INTO creation_studio_order_deliveries (tenant_id, id, order_id, message)"
                " VALUES ($1, $2, $3, 'x')",
                seller.tenant_id,
                new_id(),
                UUID(order["id"]),
            )
        for tenant, visible in ((seller.tenant_id, 1), (await platform.tenant(), 0)):
            async with platform.runtime.database.reader(tenant) as connection:
                for table in ("creation_studio_orders", "creation_studio_order_deliveries"):
                    assert await connection.fetchval(f"SELECT count(*) FROM {table}") == visible

    async def test_the_other_party_s_part_is_403(self, buyer: Account, seller: Account, order: dict[str, Any]):
        for account, action in ((buyer, "deliver"), (seller, "accept")):
            refused = await act(account, order, action)
            assert (refused.status_code, refused.json()["code"]) == (403, "creation_studio.not_your_part")


class TestLists:
    """`GET /orders`."""

    async def test_what_one_buys_and_sells(self, platform: TestPlatform, seller: Account, buyer: Account):
        third = await platform.account(seller.tenant_id)
        gigs = {account.id: await publish(account) for account in (seller, buyer, third)}
        bought = [(await place(buyer, gigs[seller.id]))["id"] for _ in range(3)]
        sold = [(await place(third, gigs[buyer.id]))["id"] for _ in range(2)]
        bought += [(await place(buyer, gigs[third.id]))["id"]]
        await place(seller, gigs[third.id])

        async def listed(limit: int, **role: str) -> list[str]:
            return [item["id"] for item in await walk(buyer.client, ORDERS, limit=limit, **role)]

        for limit in (1, 2, 3, 6, 100):
            assert await listed(limit, role="buyer") == sorted(bought, reverse=True)
            assert await listed(limit, role="seller") == sorted(sold, reverse=True)
            assert await listed(limit) == sorted(bought + sold, reverse=True)

    async def test_the_page_is_what_its_schema_says(self, buyer: Account, order: dict[str, Any]):
        raw = (await buyer.client.get(ORDERS)).content
        assert msgspec.json.decode(raw)["items"] == [order]
        assert msgspec.json.decode(raw, type=Page[Order]).items[0].id == UUID(order["id"])
        detail = (await buyer.client.get(f"{ORDERS}/{order['id']}")).content
        assert msgspec.json.decode(detail, type=OrderDetail).deliveries == []

    async def test_bad_parameters_are_400(self, buyer: Account):
        for params in ({"role": "owner"}, {"cursor": "x"}, {"limit": "0"}):
            assert (await buyer.client.get(ORDERS, params=params)).status_code == 400


class TestCancelling:
    """Before the payment, by either party."""

    @pytest.mark.parametrize("who", ["buyer", "seller"])
    async def test_the_escrow_is_called_off_too(
        self, platform: TestPlatform, seller: Account, buyer: Account, order: dict[str, Any], who: str
    ):
        cancelled = await act(buyer if who == "buyer" else seller, order, "cancel")
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
        assert await escrow_state(platform, order) == "cancelled"
        await platform.drain()
        assert await state_of(buyer, order) == "cancelled"
        assert await emitted(platform, buyer.tenant_id) == ["placed", "cancelled"]

    async def test_a_payment_that_the_order_has_not_heard_of_goes_back(
        self, platform: TestPlatform, buyer: Account, order: dict[str, Any]
    ):
        await fund(buyer, order)
        assert (await act(buyer, order, "cancel")).json()["state"] == "cancelled"
        assert await escrow_state(platform, order) == "refunded"
        await platform.drain()
        assert await state_of(buyer, order) == "cancelled"
        assert await emitted(platform, buyer.tenant_id) == ["placed", "cancelled"]

    async def test_a_paid_order_can_not_be_cancelled(
        self, platform: TestPlatform, seller: Account, buyer: Account, order: dict[str, Any]
    ):
        await started(platform, buyer, order)
        for account in (buyer, seller):
            refused = await act(account, order, "cancel")
            assert (refused.status_code, refused.json()["code"]) == (409, "creation_studio.order_in_wrong_state")
        assert await escrow_state(platform, order) == "held"


class TestMoney:
    """What finance tells, in any order and any number of times."""

    async def test_a_refund_ends_the_order(
        self, platform: TestPlatform, seller: Account, buyer: Account, order: dict[str, Any]
    ):
        await started(platform, buyer, order)
        await act(seller, order, "deliver")
        administrator = await platform.account(buyer.tenant_id, ("member", "administrator"))
        refunded = await administrator.client.post(
            f"/api/v1/finance/escrows/{order['escrow_id']}/refund", headers={"Idempotency-Key": new_id().hex}
        )
        assert refunded.status_code == 200, refunded.text
        await platform.drain()
        assert await state_of(buyer, order) == "refunded"
        refused = await act(buyer, order, "accept")
        assert refused.status_code == 409

    async def test_an_escrow_that_is_called_off_ends_the_order(
        self, platform: TestPlatform, buyer: Account, order: dict[str, Any]
    ):
        administrator = await platform.account(buyer.tenant_id, ("member", "administrator"))
        await administrator.client.post(
            f"/api/v1/finance/escrows/{order['escrow_id']}/refund", headers={"Idempotency-Key": new_id().hex}
        )
        await platform.drain()
        assert await state_of(buyer, order) == "cancelled"

    async def test_events_may_come_twice(self, platform: TestPlatform, buyer: Account, order: dict[str, Any]):
        event = changed(order)
        for handle, state in ((start_order, "in_progress"), (refund_order, "refunded")):
            for _ in range(2):
                async with platform.work(platform.system(buyer.tenant_id)) as uow:
                    await handle(uow, event)
                assert await state_of(buyer, order) == state
        assert await emitted(platform, buyer.tenant_id) == ["placed", "started", "refunded"]

    async def test_a_refund_may_overtake_the_funding(
        self, platform: TestPlatform, buyer: Account, order: dict[str, Any]
    ):
        for handle in (refund_order, start_order, cancel_order):
            async with platform.work(platform.system(buyer.tenant_id)) as uow:
                await handle(uow, changed(order))
            assert await state_of(buyer, order) == "refunded"

    async def test_what_is_about_others_changes_nothing(
        self, platform: TestPlatform, buyer: Account, order: dict[str, Any]
    ):
        for reference, escrow_id in (
            (f"other_plugin.order:{order['id']}", order["escrow_id"]),
            ("creation_studio.order:nonsense", order["escrow_id"]),
            (f"creation_studio.order:{new_id()}", order["escrow_id"]),
            (f"creation_studio.order:{order['id']}", str(new_id())),
        ):
            async with platform.work(platform.system(buyer.tenant_id)) as uow:
                await start_order(uow, EscrowChanged(escrow_id=UUID(escrow_id), reference=reference))
        async with platform.work(platform.system(await platform.tenant())) as uow:
            await start_order(uow, changed(order))
        assert await state_of(buyer, order) == "pending_payment"


def changed(order: dict[str, Any]) -> EscrowChanged:
    return EscrowChanged(escrow_id=UUID(order["escrow_id"]), reference=f"creation_studio.order:{order['id']}")


class TestAtOnce:
    """Of two that exclude each other, one wins."""

    async def test_accepting_twice_pays_once(
        self, platform: TestPlatform, seller: Account, buyer: Account, order: dict[str, Any]
    ):
        await started(platform, buyer, order)
        await act(seller, order, "deliver")
        answers = await asyncio.gather(*(act(buyer, order, "accept") for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        assert await emitted(platform, buyer.tenant_id) == ["placed", "started", "delivered", "completed"]

    async def test_accepting_and_refunding(self, platform: TestPlatform, seller: Account, buyer: Account):
        administrator = await platform.account(buyer.tenant_id, ("member", "administrator"))
        for _ in range(4):
            order = await place(buyer, await publish(seller))
            await started(platform, buyer, order)
            await act(seller, order, "deliver")
            accepted, refunded = await asyncio.gather(
                act(buyer, order, "accept"),
                administrator.client.post(
                    f"/api/v1/finance/escrows/{order['escrow_id']}/refund", headers={"Idempotency-Key": new_id().hex}
                ),
            )
            await platform.drain()
            assert sorted((accepted.status_code, refunded.status_code)) == [200, 409]
            outcome = (await state_of(buyer, order), await escrow_state(platform, order))
            assert outcome == (("completed", "released") if accepted.status_code == 200 else ("refunded", "refunded"))

    async def test_cancelling_and_starting(self, platform: TestPlatform, seller: Account, buyer: Account):
        for _ in range(4):
            order = await place(buyer, await publish(seller))
            await fund(buyer, order)
            cancelled, _ = await asyncio.gather(act(seller, order, "cancel"), platform.drain())
            await platform.drain()
            outcome = (cancelled.status_code, await state_of(buyer, order), await escrow_state(platform, order))
            assert outcome in ((200, "cancelled", "refunded"), (409, "in_progress", "held"))


@pytest.fixture(scope="module")
async def lonely(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, redis_url: str, worker_name: str
) -> AsyncIterator[TestPlatform]:
    """A platform with this plugin alone, on a database of its own: which plugins are on is in the database."""
    url = await create_database(postgres_url, f"creation_studio_alone_{worker_name}", template=TEMPLATE)
    folder = tmp_path_factory.mktemp("alone")
    running = TestPlatform(make_config(folder, url, redis_url, plugins=("creation_studio",)))
    await running.start()
    yield running
    await running.stop()


class TestWithoutPayments:
    """A marketplace with no plugin that offers escrow."""

    async def test_gigs_work_and_ordering_says_what_is_missing(self, lonely: TestPlatform):
        assert [plugin.name for plugin in lonely.registry.plugins] == ["kernel", "creation_studio"]
        tenant = await lonely.tenant()
        seller, buyer = await lonely.account(tenant), await lonely.account(tenant)
        gig = await publish(seller, tags=["logo-design"])
        response = await buyer.client.post(
            ORDERS, json={"gig_id": gig["id"]}, headers={"Idempotency-Key": new_id().hex}
        )
        assert (response.status_code, response.json()["code"]) == (503, "creation_studio.payments_unavailable")
        assert int(response.headers["retry-after"]) > 0
        assert await walk(buyer.client, ORDERS) == []

    async def test_an_order_waits_until_payments_are_back(
        self, platform: TestPlatform, seller: Account, buyer: Account, order: dict[str, Any]
    ):
        services = {
            protocol: service for protocol, service in platform.registry.services.items() if protocol is not Escrow
        }
        without = msgspec.structs.replace(platform.registry, services=services)
        with pytest.raises(PaymentsUnavailable):
            async with transact(platform.runtime, without, buyer.principal, "request") as uow:
                await OrderService(uow).cancel(UUID(order["id"]))
        await started(platform, buyer, order)
        await act(seller, order, "deliver")
        with pytest.raises(PaymentsUnavailable):
            async with transact(platform.runtime, without, buyer.principal, "request") as uow:
                await OrderService(uow).accept(UUID(order["id"]))
        assert await state_of(buyer, order) == "delivered"
        assert (await act(buyer, order, "accept")).json()["state"] == "completed"
