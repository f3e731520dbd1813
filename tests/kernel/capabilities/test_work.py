"""Who acts in a unit of work, what they may use, and what is on record afterwards."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import UUID

import pytest
from pegboard.plugins.registry import Registry
from pegboard.vault.store import SecretStore
from pegboard.work import ReadWork, SteppedWork, Work, transact
from pegboard_sdk import Money, Secret, UnitOfWork, new_id
from pegboard_sdk.errors import CapabilityDenied, ServiceMissing
from pegboard_sdk.services import AuditLog, Escrow, Service

from tests.kernel.capabilities.conftest import MakeRegistry, made_up
from tests.support.platform import TestPlatform


class Tills(Protocol):
    """A service of these tests."""

    async def who(self, uow: UnitOfWork) -> tuple[str, str]: ...
    async def rob(self, *, uow: UnitOfWork) -> Any: ...
    async def read(self, uow: UnitOfWork) -> Secret | None: ...
    async def keep(self, uow: UnitOfWork) -> None: ...


class TillService:
    def __init__(self) -> None:
        self.kept: Any = None

    async def who(self, uow: UnitOfWork) -> tuple[str, str]:
        return uow.plugin, uow.caller

    async def rob(self, *, uow: UnitOfWork) -> Any:
        return await uow.fetchval("SELECT count(*) FROM finance_escrows")

    async def read(self, uow: UnitOfWork) -> Secret | None:
        return await uow.secret("till.key")

    async def keep(self, uow: UnitOfWork) -> None:
        self.kept = uow


class Door:
    """Something like a connector."""

    name = "door"
    secret = "till.key"  # where it is

    async def who(self, uow: UnitOfWork) -> str:
        return uow.plugin


@pytest.fixture
def till() -> TillService:
    return TillService()


@pytest.fixture
def registry(with_plugins: MakeRegistry, till: TillService) -> Registry:
    return with_plugins(
        made_up("till", offers=[Service(Tills, till)], secrets=["till.key"], extensions={"doors": [Door()]}),
        made_up("shop", services=["Tills"], secrets=["shop.key"], collects=["doors"]),
        made_up("thief"),
    )


def work_of(platform: TestPlatform, registry: Registry, tenant: UUID, plugin: str) -> AbstractAsyncContextManager[Work]:
    return transact(platform.runtime, registry, platform.system(tenant), new_id().hex, plugin=plugin)


async def entries(platform: TestPlatform, tenant: UUID, action: str) -> list[dict[str, Any]]:
    """What is on record of it, oldest first."""
    await platform.runtime.trail.written()
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, action=action, limit=100)
    return [
        {"object": entry.object_id, "outcome": entry.outcome, **(entry.after or {})} for entry in reversed(page.items)
    ]


async def put(platform: TestPlatform, tenant: UUID, name: str, value: str) -> None:
    """Store a secret, as the tenant's administrator does."""
    async with platform.runtime.database.system_transaction() as connection:
        store = SecretStore(connection, platform.runtime.vault, actor=platform.system(tenant), request_id="test")
        await store.set(name, Secret(value), tenant_id=tenant)


class TestWhoActs:
    async def test_a_service_acts_for_the_plugin_that_offers_it(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        async with work_of(platform, registry, tenant, "shop") as uow:
            assert await uow.service(Tills).who(uow) == ("till", "shop")
            assert (uow.plugin, uow.caller) == ("shop", "shop")

    async def test_what_it_does_is_in_the_caller_s_transaction(
        self, platform: TestPlatform, with_plugins: MakeRegistry, tenant: UUID
    ):
        registry = with_plugins(made_up("shop", services=["Escrow"]))
        payer, payee = await platform.account(tenant), await platform.account(tenant)

        async def order(fails: bool) -> None:
            async with work_of(platform, registry, tenant, "shop") as uow:
                opened = await uow.service(Escrow).open(
                    uow, reference="shop.order:1", payer=payer.id, payee=payee.id, money=Money(100, "EUR")
                )
                assert (await uow.service(Escrow).get(uow, opened.id)).state == "awaiting_funds"
                if fails:
                    raise LookupError

        async def escrows() -> int:
            async with platform.work(platform.system(tenant)) as work:
                return await work.fetchval("SELECT count(*) FROM finance_escrows")

        with pytest.raises(LookupError):
            await order(fails=True)
        assert await escrows() == 0
        await order(fails=False)
        assert await escrows() == 1

    async def test_an_extension_acts_for_the_plugin_that_brings_it(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        async with work_of(platform, registry, tenant, "shop") as uow:
            (door,) = uow.extensions("doors")
            assert (door.name, await door.who(uow)) == ("door", "till")

    async def test_items_of_others_are_for_who_asked_for_them(
        self, platform: TestPlatform, with_plugins: MakeRegistry, registry: Registry, tenant: UUID
    ):
        async with work_of(platform, registry, tenant, "thief") as uow:
            with pytest.raises(CapabilityDenied, match=r'add "doors" to capabilities\.extensions'):
                uow.extensions("doors")
        spender = with_plugins(made_up("spender", collects=["ai_providers"]))
        async with work_of(platform, spender, tenant, "spender") as uow:
            with pytest.raises(CapabilityDenied, match=r"ai_spend = true"):
                uow.extensions("ai_providers")
        found = await entries(platform, tenant, "kernel:extensions.use")
        assert [(entry["object"], entry["outcome"]) for entry in found] == [("doors", "refused")]

    async def test_so_it_is_in_steps(self, platform: TestPlatform, registry: Registry, tenant: UUID):
        stepped = SteppedWork(platform.runtime, registry, platform.system(tenant), "r", plugin="shop")
        async with stepped.acting_as("till").step() as uow:
            assert (uow.plugin, uow.caller) == ("till", "shop")
        async with stepped.step() as uow:
            assert (uow.plugin, uow.caller) == ("shop", "shop")

    async def test_a_view_ends_with_the_transaction(
        self, platform: TestPlatform, registry: Registry, tenant: UUID, till: TillService
    ):
        async with work_of(platform, registry, tenant, "shop") as uow:
            await uow.service(Tills).keep(uow)
            assert till.kept is not uow
        for leaked in (till.kept, uow, uow.acting_as("till")):
            with pytest.raises(RuntimeError, match="has ended"):
                await leaked.fetchval("SELECT 1")

    async def test_a_view_of_reads_ends_with_them_and_shares_their_connection(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        work = ReadWork(platform.runtime, registry, platform.system(tenant), "r", plugin="shop")
        view = work.acting_as("till")
        pid = await view.fetchval("SELECT pg_backend_pid()")
        assert await work.fetchval("SELECT pg_backend_pid()") == pid
        await work.release()
        with pytest.raises(RuntimeError, match="has ended"):
            await view.fetchval("SELECT 1")

    async def test_after_commit_is_one_list_for_all_views(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        told: list[str] = []

        async def tell() -> None:
            told.append("told")

        async with work_of(platform, registry, tenant, "shop") as uow:
            uow.acting_as("till").after_commit(tell)
            assert told == []
        assert told == ["told"]

    async def test_savepoints_of_views_have_names_of_their_own(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        async with work_of(platform, registry, tenant, "shop") as uow:
            async with uow.savepoint(), uow.acting_as("till").savepoint():
                assert await uow.fetchval("SELECT 1") == 1
            assert await uow.fetchval("SELECT 2") == 2


class TestTables:
    async def test_another_s_are_refused_and_the_refusal_is_on_record(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        with pytest.raises(CapabilityDenied, match="finance_escrows"):
            async with work_of(platform, registry, tenant, "shop") as uow:
                await uow.fetch("SELECT * FROM finance_escrows")
        assert await entries(platform, tenant, "kernel:table.use") == [
            {"object": "finance_escrows", "outcome": "refused", "plugin": "shop"}
        ]

    @pytest.mark.parametrize("method", ["fetch", "fetchrow", "fetchval", "execute", "executemany"])
    @pytest.mark.parametrize("reads", [True, False])
    async def test_each_way_to_the_database_is_checked(
        self, platform: TestPlatform, registry: Registry, tenant: UUID, method: str, reads: bool
    ):
        async def use(uow: Work) -> None:
            with pytest.raises(CapabilityDenied):
                await getattr(uow, method)("SELECT FROM kernel_accounts", *([[]] if method == "executemany" else []))

        if reads:
            work = ReadWork(platform.runtime, registry, platform.system(tenant), "r", plugin="shop")
            await use(work)
            await work.release()
        else:
            async with work_of(platform, registry, tenant, "shop") as uow:
                await use(uow)

    async def test_a_service_may_use_its_own_plugin_s_only(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        with pytest.raises(CapabilityDenied) as denied:
            async with work_of(platform, registry, tenant, "shop") as uow:
                await uow.service(Tills).rob(uow=uow)
        assert denied.value.plugin == "till"

    async def test_the_kernel_s_own_doing_for_a_plugin_is_the_kernel_s(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        async with work_of(platform, registry, tenant, "shop") as uow:
            await uow.audit("shop:item.sell", object_type="item", object_id="1")
        assert [one["object"] for one in await entries(platform, tenant, "shop:item.sell")] == ["1"]


class TestServices:
    async def test_one_that_the_manifest_does_not_list_is_refused_whether_it_is_offered_or_not(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        class Nobodys(Protocol):
            pass

        async with work_of(platform, registry, tenant, "thief") as uow:
            for protocol in (Tills, Nobodys, AuditLog):
                with pytest.raises(CapabilityDenied, match=r"capabilities\.services"):
                    uow.service(protocol)
                with pytest.raises(CapabilityDenied):
                    uow.optional_service(protocol)
        refused = await entries(platform, tenant, "kernel:service.use")
        assert {(one["object"], one["outcome"]) for one in refused} == {
            ("Tills", "refused"), ("Nobodys", "refused"), ("AuditLog", "refused")
        }  # fmt: skip

    async def test_one_that_is_listed_and_not_offered_is_missing(
        self, platform: TestPlatform, with_plugins: MakeRegistry, tenant: UUID
    ):
        registry = with_plugins(made_up("shop", services=["Tills"]))
        async with work_of(platform, registry, tenant, "shop") as uow:
            assert uow.optional_service(Tills) is None
            with pytest.raises(ServiceMissing):
                uow.service(Tills)

    async def test_a_plugin_may_use_its_own(self, platform: TestPlatform, registry: Registry, tenant: UUID):
        async with work_of(platform, registry, tenant, "till") as uow:
            assert await uow.service(Tills).who(uow) == ("till", "till")
        assert await entries(platform, tenant, "kernel:service.use") == []

    async def test_a_use_is_one_entry_in_the_transaction(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        async with work_of(platform, registry, tenant, "shop") as uow:
            for _ in range(3):
                await uow.service(Tills).who(uow)
            await uow.service(Tills).keep(uow)
        assert await entries(platform, tenant, "kernel:service.use") == [
            {
                "object": "Tills",
                "outcome": "success",
                "plugin": "shop",
                "offered_by": "till",
                "methods": ["who", "keep"],
            }
        ]

    async def test_it_is_on_record_though_the_transaction_is_rolled_back(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        async def request() -> None:
            async with work_of(platform, registry, tenant, "shop") as uow:
                await uow.service(Tills).who(uow)
                raise LookupError

        with pytest.raises(LookupError):
            await request()
        assert len(await entries(platform, tenant, "kernel:service.use")) == 1

    async def test_so_it_is_where_there_is_no_transaction(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        work = ReadWork(platform.runtime, registry, platform.system(tenant), "r", plugin="shop")
        await work.service(Tills).who(work)
        await work.release()
        stepped = SteppedWork(platform.runtime, registry, platform.system(tenant), "r", plugin="thief")
        await registry.services[Tills].who(stepped)
        used = await entries(platform, tenant, "kernel:service.use")
        assert sorted(one["plugin"] for one in used) == ["shop", "thief"]


class TestSecrets:
    async def test_its_own_are_read_and_each_reading_is_one_entry(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        await put(platform, tenant, "shop.key", "s3cret")
        async with work_of(platform, registry, tenant, "shop") as uow:
            for _ in range(3):
                secret = await uow.secret("shop.key")
                assert secret is not None
                assert secret.reveal() == "s3cret"
        assert await entries(platform, tenant, "kernel:secret.use") == [
            {"object": "shop.key", "outcome": "success", "plugin": "shop"}
        ]

    async def test_others_and_those_that_the_manifest_does_not_list_are_refused(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        async with work_of(platform, registry, tenant, "shop") as uow:
            for name in ("till.key", "shop.other", "kernel.x"):
                with pytest.raises(CapabilityDenied, match=r"capabilities\.secrets"):
                    await uow.secret(name)
        assert [one["outcome"] for one in await entries(platform, tenant, "kernel:secret.use")] == ["refused"] * 3

    async def test_a_service_reads_its_own_plugin_s(self, platform: TestPlatform, registry: Registry, tenant: UUID):
        await put(platform, tenant, "till.key", "s3cret")
        async with work_of(platform, registry, tenant, "shop") as uow:
            assert await uow.service(Tills).read(uow) is not None
        assert await entries(platform, tenant, "kernel:secret.use") == [
            {"object": "till.key", "outcome": "success", "plugin": "till", "caller": "shop"}
        ]

    async def test_an_extension_s_is_its_plugin_s_and_only_what_it_names(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        await put(platform, tenant, "till.key", "s3cret")
        async with work_of(platform, registry, tenant, "shop") as uow:
            (door,) = uow.extensions("doors")
            assert await uow.secret("till.key", of=door) is not None
            with pytest.raises(LookupError, match="names no secret"):
                await uow.secret("till.other", of=door)
            with pytest.raises(CapabilityDenied):
                await uow.secret("till.key", of=Door())
        used = await entries(platform, tenant, "kernel:secret.use")
        assert [(one["plugin"], one["outcome"]) for one in used if one["outcome"] == "success"] == [("till", "success")]

    async def test_a_reading_is_on_record_though_it_was_rolled_back(
        self, platform: TestPlatform, registry: Registry, tenant: UUID
    ):
        async def request() -> None:
            async with work_of(platform, registry, tenant, "shop") as uow:
                await uow.secret("shop.key")
                raise LookupError

        with pytest.raises(LookupError):
            await request()
        assert len(await entries(platform, tenant, "kernel:secret.use")) == 1
