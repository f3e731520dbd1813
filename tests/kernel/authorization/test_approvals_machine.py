"""Whoever asks, decides, withdraws or comes too late, in whichever order: what was approved by somebody else is done
once, and nothing else is done.
"""

from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from pegboard.authorization.errors import ApprovalClosed, OwnRequest
from pegboard.config.model import Config
from pegboard.work import transact
from pegboard_sdk import UnitOfWork
from pegboard_sdk.errors import Conflict, DomainError, NotFound
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import Approvals

from tests.kernel.authorization.registries import KIND, Payload, note, with_kind
from tests.kernel.authorization.world import SETTINGS, World

MEMBERS, CONTROLLERS = ("ada", "eve"), ("bob", "mia")
OBJECTS = ("1", "2")

people = st.sampled_from((*MEMBERS, *CONTROLLERS))


class Request(msgspec.Struct):
    """A request as it should be."""

    id: UUID
    by: str
    object_id: str
    number: int
    state: str = "pending"
    decided_by: str | None = None


class ApprovalsMachine(RuleBasedStateMachine):
    world: ClassVar[World]
    requests = Bundle("requests")

    @initialize()
    def begin(self) -> None:
        self.fails = False
        self.models: list[Request] = []
        self.world.run(self._begin())

    async def _begin(self) -> None:
        platform = self.platform = self.world.platform

        async def execute(uow: UnitOfWork, payload: Payload) -> None:
            await note(uow, payload)
            if self.fails:
                raise Conflict("Not now.")

        self.registry = with_kind(platform.registry, execute)
        self.tenant = await platform.tenant()
        self.accounts = {name: await platform.account(self.tenant) for name in MEMBERS}
        self.accounts |= {
            name: await platform.account(self.tenant, ("member", "finance_controller")) for name in CONTROLLERS
        }

    async def _as(self, who: str, method: str, *args: Any, **more: Any) -> Any:
        principal = self.accounts[who].principal
        async with transact(self.platform.runtime, self.registry, principal, new_id().hex, plugin="finance") as work:
            return await getattr(work.service(Approvals), method)(work, *args, **more)

    def outcome(self, who: str, method: str, *args: Any, **more: Any) -> Any:
        """What the service gave, or the class of what it refused with."""
        try:
            return self.world.run(self._as(who, method, *args, **more))
        except DomainError as error:
            return type(error)

    @rule(target=requests, who=people, object_id=st.sampled_from(OBJECTS), number=st.integers(1, 2))
    def ask(self, who: str, object_id: str, number: int) -> MultipleResults[Request]:
        there = next((one for one in self.models if (one.object_id, one.state) == (object_id, "pending")), None)
        got = self.outcome(
            who,
            "request",
            KIND,
            Payload(number),
            object_type="finance.test_deed",
            object_id=object_id,
            summary="Do it.",
        )
        if there is None:
            made = Request(got.id, who, object_id, number)
            self.models.append(made)
            return multiple(made)
        if (there.by, there.number) == (who, number):
            assert got.id == there.id
        else:
            assert got is Conflict
        return multiple()

    @rule(request=requests, who=people, how=st.sampled_from(("approve", "reject")))
    def decide(self, request: Request, who: str, how: str) -> None:
        got = self.outcome(who, how, request.id, reason="x")
        if who not in CONTROLLERS and who != request.by:
            assert got is NotFound
        elif who == request.by:
            assert got is OwnRequest
        elif request.state != "pending":
            assert got is ApprovalClosed
        elif how == "approve" and self.fails:
            assert got is Conflict
        else:
            request.state, request.decided_by = "executed" if how == "approve" else "rejected", who
            assert got.state == request.state

    @rule(request=requests, who=people)
    def withdraw(self, request: Request, who: str) -> None:
        got = self.outcome(who, "withdraw", request.id)
        if who != request.by:
            assert got is NotFound
        elif request.state != "pending":
            assert got is ApprovalClosed
        else:
            request.state, request.decided_by = "withdrawn", who
            assert got.state == "withdrawn"

    @rule(request=requests)
    def time_passes(self, request: Request) -> None:
        """Its time is over, if it is still open. Nobody puts that on record here: it counts by itself."""
        if request.state == "pending":
            self.world.run(self._expire(request.id))
            request.state = "expired"

    async def _expire(self, approval_id: UUID) -> None:
        async with self.platform.runtime.database.system_transaction() as connection:
            await connection.execute(
                "UPDATE kernel_approvals SET expires_at = now() - interval '1 second' WHERE id = $1", approval_id
            )

    @rule(fails=st.booleans())
    def change_whether_it_can_be_done(self, fails: bool) -> None:
        self.fails = fails

    @invariant()
    def it_is_as_it_should_be(self) -> None:
        if hasattr(self, "accounts"):
            self.world.run(self._look())

    async def _look(self) -> None:
        names = {account.id: name for name, account in self.accounts.items()}
        async with self.platform.work(self.platform.system(self.tenant)) as work:
            rows = await work.fetch(
                "SELECT id, decided_by, requested_by, CASE WHEN state = 'pending' AND expires_at <= now()"
                " THEN 'expired' ELSE state END AS state FROM kernel_approvals"
            )
            deeds = await work.fetch(
                "SELECT actor_id, object_id FROM kernel_audit_entries WHERE action = 'finance:test_deed.do'"
            )
        found = {row["id"]: (row["state"], names.get(row["decided_by"])) for row in rows}
        assert found == {one.id: (one.state, one.decided_by) for one in self.models}
        assert sorted((names[deed["actor_id"]], deed["object_id"]) for deed in deeds) == sorted(
            (str(one.decided_by), str(one.number)) for one in self.models if one.state == "executed"
        )
        assert all(one.decided_by != one.by for one in self.models if one.state in ("executed", "rejected"))


@pytest.fixture
def world(config: Config) -> Iterator[World]:
    made = World(config)
    yield made
    made.close()


def test_it_is_done_once_or_not_at_all_whatever_happens(world: World) -> None:
    class Machine(ApprovalsMachine):
        pass

    Machine.world = world
    run_state_machine_as_test(Machine, settings=SETTINGS)
