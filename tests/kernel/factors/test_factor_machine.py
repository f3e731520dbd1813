"""Whatever people do with their second factors, in whatever order: the live application does what a model does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pegboard.factors.recovery import CODES, LOW

from tests.kernel.factors.conftest import AUTH, Person, add_passkey, add_totp
from tests.support.authenticator import Authenticator
from tests.support.platform import TestPlatform

T = TypeVar("T")
FACTORS = f"{AUTH}/factors"


class Live:
    """The application, from the thread in which Hypothesis runs."""

    def __init__(self, platform: TestPlatform, loop: asyncio.AbstractEventLoop) -> None:
        self.platform = platform
        self._loop = loop

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)

    async def person(self) -> Person:
        return Person(platform=self.platform, account=await self.platform.account(await self.platform.tenant()))


class Factors(RuleBasedStateMachine):
    """One account: whether it has an app, its passkeys by id, its recovery codes, and whether it needs a factor."""

    live: Live

    @initialize()
    def register(self) -> None:
        self.ada = self.live.do(self.live.person())
        self.boss = self.live.do(self.live.platform.account(self.ada.account.tenant_id, ("administrator",)))
        self.app = False
        self.passkeys: dict[str, Authenticator] = {}
        self.left: list[str] = []
        self.spent: list[str] = []
        self.required = False

    @property
    def has_one(self) -> bool:
        return self.app or bool(self.passkeys)

    @rule()
    def add_app(self) -> None:
        self._new_codes(self.live.do(add_totp(self.ada)).json()["recovery_codes"])
        self.app = True

    @rule()
    def remove_app(self) -> None:
        answer = self.live.do(self.ada.client.delete(f"{FACTORS}/totp"))
        self._removed(answer, there=self.app, last=not self.passkeys)
        if answer.status_code == 204:
            self.app = False
            self._forget_codes()

    @precondition(lambda self: len(self.passkeys) < 3)
    @rule()
    def make_passkey(self) -> None:
        key = Authenticator()
        answer = self.live.do(add_passkey(self.ada, key))
        assert answer.status_code == 201, answer.text
        self._new_codes(answer.json()["recovery_codes"])
        self.passkeys[answer.json()["passkey"]["id"]] = key

    @precondition(lambda self: self.passkeys)
    @rule(data=st.data())
    def remove_passkey(self, data: st.DataObject) -> None:
        known_as = list(self.passkeys)[data.draw(st.integers(0, 2)) % len(self.passkeys)]
        answer = self.live.do(self.ada.client.delete(f"{FACTORS}/passkeys/{known_as}"))
        self._removed(answer, there=True, last=not self.app and len(self.passkeys) == 1)
        if answer.status_code == 204:
            del self.passkeys[known_as]
            self._forget_codes()

    @rule()
    def replace_codes(self) -> None:
        answer = self.live.do(self.ada.client.post(f"{FACTORS}/recovery-codes"))
        assert answer.status_code == (200 if self.has_one else 422)
        if self.has_one:
            self.spent += self.left
            self.left = answer.json()["recovery_codes"]

    @precondition(lambda self: self.left)
    @rule()
    def log_in_by_a_recovery_code(self) -> None:
        code = self.left.pop()
        assert self._answered(recovery_code=code).status_code == 200
        self.spent.append(code)

    @precondition(lambda self: self.spent and self.has_one)
    @rule()
    def try_a_code_that_is_spent(self) -> None:
        assert self._answered(recovery_code=self.spent[-1]).status_code == 401
        self.live.do(self.ada.forget_attempts())

    @precondition(lambda self: self.app)
    @rule()
    def log_in_by_the_app(self) -> None:
        assert self._answered(code=self.ada.code()).status_code == 200
        assert self._answered(code=self.ada.code(-1)).status_code == 401, "a code from before the last one is over"
        self.live.do(self.ada.forget_steps())

    @precondition(lambda self: self.passkeys)
    @rule()
    def log_in_by_a_passkey_alone(self) -> None:
        challenge = self.live.do(self.ada.anonymous.get(f"{AUTH}/passkeys/challenge")).json()
        signed = next(iter(self.passkeys.values())).get(challenge["passkey"])
        assert self.live.do(self.ada.answer(challenge, passkey=signed)).status_code == 200

    @rule(required=st.booleans())
    def decide_whether_one_is_needed(self, required: bool) -> None:
        url = "/api/v1/admin/factor-requirements/member"
        if required:
            assert self.live.do(self.boss.client.put(url, json={"grace_days": 30})).status_code == 200
        else:
            answer = self.live.do(self.boss.client.delete(url))
            assert answer.status_code == (204 if self.required else 404)
        self.required = required

    @invariant()
    def it_shows_what_there_is(self) -> None:
        shown = self.live.do(self.ada.client.get(FACTORS)).json()
        assert (shown["totp"] is not None) is self.app
        assert {one["id"] for one in shown["passkeys"]} == self.passkeys.keys()
        assert shown["recovery_codes"] == len(self.left)
        assert shown["recovery_codes_low"] is (self.has_one and len(self.left) <= LOW)
        assert (shown["required_from"] is not None) is self.required

    @invariant()
    def the_password_alone_is_enough_only_where_there_is_no_other(self) -> None:
        answer = self.live.do(self.ada.log_in())
        assert answer.status_code == (202 if self.has_one else 200), answer.text
        if self.has_one:
            wanted = {"totp": self.app, "passkey": self.passkeys, "recovery_code": self.left}
            assert answer.json()["methods"] == [name for name, has in wanted.items() if has]

    def _answered(self, **fields: str) -> httpx.Response:
        challenge = self.live.do(self.ada.challenged())
        return self.live.do(self.ada.answer(challenge, None, **fields))

    def _new_codes(self, codes: list[str]) -> None:
        assert len(codes) == (0 if self.has_one else CODES)
        self.left = self.left if self.has_one else codes

    def _removed(self, answer: httpx.Response, *, there: bool, last: bool) -> None:
        refused = last and self.required
        assert answer.status_code == (404 if not there else 409 if refused else 204), answer.text

    def _forget_codes(self) -> None:
        if not self.has_one:
            self.spent += self.left
            self.left = []


async def test_factors_behave_as_a_model(platform: TestPlatform) -> None:
    live_app = Live(platform, asyncio.get_running_loop())

    class Machine(Factors):
        live = live_app

    checked = settings(
        max_examples=10, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    await asyncio.to_thread(run_state_machine_as_test, Machine, settings=checked)
