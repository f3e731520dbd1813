"""Whatever is given, taken, edited, raised or kept apart, in whichever order: nobody ever holds what a rule keeps
apart, what is allowed is never refused, and the process decides as the tenant's rows say.
"""

from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pegboard.authorization.changes import matrix_version
from pegboard.authorization.errors import DutiesSegregated
from pegboard.authorization.matrix import MatrixService
from pegboard.authorization.overrides import OverrideService
from pegboard.authorization.roles import RoleService
from pegboard.authorization.schemas import MatrixChange, NewOverride, NewRule
from pegboard.authorization.segregation import SegregationService
from pegboard.config.model import Config
from pegboard.identity.accounts import AccountService
from pegboard_sdk.errors import Conflict
from pegboard_sdk.ids import new_id

from tests.kernel.authorization.world import SETTINGS, World

ROLES = ("reader", "writer", "checker")
PEOPLE = ("ada", "bob", "eve")
PERMISSIONS = 3

# What somebody holds of the roles and permissions that the machine plays with, worked out from the rows alone.
HELD = """
WITH roles AS (
    SELECT account_id, role FROM kernel_role_grants WHERE role = ANY ($1)
    UNION SELECT account_id, role FROM kernel_overrides
        WHERE role IS NOT NULL AND ended_at IS NULL AND expires_at > now()
)
SELECT account_id, role AS duty FROM roles
UNION SELECT r.account_id, e.permission FROM roles r JOIN kernel_permission_edits e ON e.role = r.role AND e.granted
UNION SELECT account_id, permission FROM kernel_overrides
    WHERE permission IS NOT NULL AND ended_at IS NULL AND expires_at > now()
"""

people = st.sampled_from(PEOPLE)
numbers = st.integers(0, PERMISSIONS - 1)
duties = st.one_of(st.sampled_from(ROLES), numbers)


class RolesMachine(RuleBasedStateMachine):
    world: ClassVar[World]

    @initialize()
    def begin(self) -> None:
        self.world.run(self._begin())

    async def _begin(self) -> None:
        platform = self.platform = self.world.platform
        defaults = platform.registry.role_permissions
        # Those that administrators alone have by default, and here nobody.
        self.permissions = sorted(
            name
            for name in defaults["administrator"]
            if not name.startswith("account:") and sum(name in names for names in defaults.values()) == 1
        )[:PERMISSIONS]
        self.tenant = await platform.tenant()
        self.system = platform.system(self.tenant)
        self.ids = {name: (await platform.account(self.tenant, name=name)).id for name in PEOPLE}
        async with platform.work(self.system) as work:
            for name in ROLES:
                await RoleService(work).create(name, "")
            changes = [MatrixChange(role="administrator", permission=name, granted=False) for name in self.permissions]
            await MatrixService(work).edit(changes, reason="x", if_match="*")
        self.apart: dict[UUID, frozenset[str]] = {}
        for first, second in ((ROLES[0], ROLES[1]), (self.permissions[0], self.permissions[1])):
            made: list[UUID] = []
            await self._keep_apart(first, second, made)
            self.apart[made[0]] = frozenset((first, second))
        self.roles: dict[str, set[str]] = {name: set() for name in PEOPLE}
        self.granted: dict[str, set[str]] = {name: set() for name in ROLES}
        self.raised: dict[str, dict[UUID, str]] = {name: {} for name in PEOPLE}

    def duty(self, duty: str | int) -> str:
        return self.permissions[duty] if isinstance(duty, int) else duty

    def held(self, who: str) -> set[str]:
        """What the model says somebody holds."""
        own = self.roles[who] | set(self.raised[who].values())
        return own.union(*(self.granted[role] for role in own if role in self.granted))

    def broken(self) -> bool:
        """Whether the model breaks a rule: somebody, or a role."""
        holders = [self.held(who) for who in PEOPLE] + [{role} | granted for role, granted in self.granted.items()]
        return any(pair <= holder for pair in self.apart.values() for holder in holders)

    @rule(who=people, roles=st.sets(st.sampled_from(ROLES)))
    def give_roles(self, who: str, roles: set[str]) -> None:
        before, self.roles[who] = self.roles[who], roles
        if self.judged(self._give_roles(who, roles)):
            self.roles[who] = before

    async def _give_roles(self, who: str, roles: set[str]) -> None:
        async with self.platform.work(self.system) as work:
            await AccountService(self.platform.runtime).set_roles(work, self.ids[who], sorted(roles))

    @rule(role=st.sampled_from(ROLES), number=numbers, granted=st.booleans())
    def edit_matrix(self, role: str, number: int, granted: bool) -> None:
        before, name = set(self.granted[role]), self.permissions[number]
        (self.granted[role].add if granted else self.granted[role].discard)(name)
        if self.judged(self._edit_matrix(role, name, granted)):
            self.granted[role] = before

    async def _edit_matrix(self, role: str, name: str, granted: bool) -> None:
        async with self.platform.work(self.system) as work:
            etag = f'"{await matrix_version(work)}"'
            change = MatrixChange(role=role, permission=name, granted=granted)
            await MatrixService(work).edit([change], reason="x", if_match=etag)

    @rule(who=people, duty=duties)
    def raise_rights(self, who: str, duty: str | int) -> None:
        name, placeholder = self.duty(duty), new_id()
        self.raised[who][placeholder] = name
        made: list[UUID] = []
        refused = self.judged(self._raise_rights(who, name, made))
        del self.raised[who][placeholder]
        if not refused:
            self.raised[who][made[0]] = name

    async def _raise_rights(self, who: str, name: str, made: list[UUID]) -> None:
        async with self.platform.work(self.system) as work:
            new = NewOverride(
                account_id=self.ids[who],
                role=name if name in ROLES else None,
                permission=None if name in ROLES else name,
                reason="x",
                expires_in=3_600,
            )
            made.append((await OverrideService(work).grant(new)).id)

    @rule(who=people)
    def end_rights(self, who: str) -> None:
        if self.raised[who]:
            override, _ = self.raised[who].popitem()
            self.world.run(self._end_rights(override))

    async def _end_rights(self, override: UUID) -> None:
        async with self.platform.work(self.system) as work:
            await OverrideService(work).end(override)

    @rule(first=duties, second=duties)
    def keep_apart(self, first: str | int, second: str | int) -> None:
        pair = frozenset((self.duty(first), self.duty(second)))
        if len(pair) == 1:
            return
        made: list[UUID] = []
        if pair in self.apart.values():
            with pytest.raises(Conflict, match="kept apart already"):
                self.world.run(self._keep_apart(self.duty(first), self.duty(second), made))
            return
        placeholder = new_id()
        self.apart[placeholder] = pair
        refused = self.judged(self._keep_apart(self.duty(first), self.duty(second), made))
        del self.apart[placeholder]
        if not refused:
            self.apart[made[0]] = pair

    async def _keep_apart(self, first: str, second: str, made: list[UUID]) -> None:
        async with self.platform.work(self.system) as work:
            view = await SegregationService(work).add(NewRule(first=first, second=second, summary="x"))
            assert view.id is not None
            made.append(view.id)

    @rule()
    def let_together(self) -> None:
        if self.apart:
            rule_id, _ = self.apart.popitem()
            self.world.run(self._let_together(rule_id))

    async def _let_together(self, rule_id: UUID) -> None:
        async with self.platform.work(self.system) as work:
            await SegregationService(work).remove(rule_id)

    def judged(self, change: object) -> bool:
        """Try the change, which the model has made already. Whether it was refused: exactly if it breaks a rule."""
        if self.broken():
            with pytest.raises(DutiesSegregated):
                self.world.run(change)  # type: ignore[arg-type]  # each caller's coroutine
            return True
        self.world.run(change)  # type: ignore[arg-type]  # each caller's coroutine
        return False

    @invariant()
    def nobody_holds_what_is_kept_apart(self) -> None:
        if hasattr(self, "raised"):
            self.world.run(self._look())

    async def _look(self) -> None:
        async with self.platform.work(self.system) as work:
            rows = await work.fetch(HELD, list(ROLES))
        found = {name: {row["duty"] for row in rows if row["account_id"] == self.ids[name]} for name in PEOPLE}
        policy = self.platform.runtime.authenticator.policies.of(self.tenant)
        playing = {*ROLES, *self.permissions}
        for name in PEOPLE:
            assert found[name] == self.held(name)
            assert not any(pair <= found[name] for pair in self.apart.values())
            roles = frozenset(self.roles[name])
            assert policy.holds(self.ids[name], roles, self.platform.registry, 0) & playing == found[name]


@pytest.fixture
def world(config: Config) -> Iterator[World]:
    made = World(config)
    yield made
    made.close()


def test_duties_stay_apart_whatever_happens(world: World) -> None:
    class Machine(RolesMachine):
        pass

    Machine.world = world
    run_state_machine_as_test(Machine, settings=SETTINGS)
