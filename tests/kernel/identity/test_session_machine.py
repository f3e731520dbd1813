"""Whatever people do with their sessions, in whatever order: the live application does what a model in memory does."""

import asyncio
import secrets
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pegboard_sdk.ids import new_id

from tests.support.mailbox import Mailbox
from tests.support.platform import PASSWORD, Account, TestPlatform

T = TypeVar("T")
AUTH = "/api/v1/auth"
MAX_RESETS = 5
"""So many mails an account gets in an hour."""
MAX_FAILURES = 8
"""So many wrong passwords; some more lock out, which is a matter of its own."""


class Session:
    """What is known of a session: its tokens, oldest first, and whether it stands."""

    def __init__(self, session_id: UUID, client: httpx.AsyncClient, token: str) -> None:
        self.id = session_id
        self.client = client
        self.tokens = [token]
        self.in_grace = False
        self.ended = False
        self.expired = False

    @property
    def stands(self) -> bool:
        return not self.ended and not self.expired


class Live:
    """The application, from the thread in which Hypothesis runs."""

    def __init__(self, platform: TestPlatform, mailbox: Mailbox, loop: asyncio.AbstractEventLoop) -> None:
        self.platform = platform
        self.mailbox = mailbox
        self._loop = loop

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def execute(self, sql: str, *args: object) -> None:
        async with self.platform.runtime.database.system_transaction() as connection:
            await connection.execute(sql, *args)

    async def opened(self, pair: dict[str, str], address: str) -> Session:
        access = await self.platform.runtime.authenticator.tokens.verify(pair["access_token"])
        client = self.platform.client(authorization=f"Bearer {pair['access_token']}", x_forwarded_for=address)
        return Session(access.sid, client, pair["refresh_token"])


class Sessions(RuleBasedStateMachine):
    """One account and its sessions."""

    sessions: Bundle[Session] = Bundle("sessions")
    live: Live

    @initialize()
    def register(self) -> None:
        async def make() -> tuple[Account, httpx.AsyncClient]:
            tenant = await self.live.platform.tenant()
            anonymous = self.live.platform.client(x_tenant=str(tenant), x_forwarded_for=self.address)
            return await self.live.platform.account(tenant), anonymous

        # Of its own, as failures are counted by network too.
        self.address = f"2001:db8:{secrets.randbits(16):x}:{secrets.randbits(16):x}::1"
        self.account, self.anonymous = self.live.do(make())
        self.password = PASSWORD
        self.resets = 0
        self.failures = 0
        self.all: list[Session] = []
        self.live.do(self.account.client.post(f"{AUTH}/logout"))

    def post(self, path: str, body: dict[str, str], client: httpx.AsyncClient | None = None) -> httpx.Response:
        return self.live.do((client or self.anonymous).post(f"{AUTH}/{path}", json=body))

    @rule(target=sessions)
    def log_in(self) -> Session:
        answer = self.post("login", {"email": self.account.email, "password": self.password})
        assert answer.status_code == 200, answer.text
        session = self.live.do(self.live.opened(answer.json(), self.address))
        self.all.append(session)
        return session

    @precondition(lambda self: self.failures < MAX_FAILURES)
    @rule()
    def log_in_wrongly(self) -> None:
        self.failures += 1
        answer = self.post("login", {"email": self.account.email, "password": self.password + "?"})
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.bad_credentials")

    @rule(session=sessions, backs=st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=3, max_size=6))
    def refresh(self, session: Session, backs: list[int]) -> None:
        """Several at once: what is wrong shows after a few exchanges of one session."""
        for back in backs:
            self._refresh(session, back)

    def _refresh(self, session: Session, back: int) -> None:
        newest = len(session.tokens) - 1
        index = max(0, newest - back)
        answer = self.post("refresh", {"refresh_token": session.tokens[index]})
        if not session.stands:
            assert (answer.status_code, answer.json()["code"]) == (401, "auth.session_ended")
        elif index == newest:
            assert answer.status_code == 200, answer.text
            assert answer.json()["refresh_token"] not in session.tokens
            session.tokens.append(answer.json()["refresh_token"])
            session.in_grace = True
            session.client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        elif index == newest - 1 and session.in_grace:
            assert answer.status_code == 200, answer.text
            assert answer.json()["refresh_token"] == session.tokens[newest]
        else:
            assert (answer.status_code, answer.json()["code"]) == (401, "auth.refresh_token_reused")
            session.ended = True

    @rule(session=sessions)
    def let_grace_pass(self, session: Session) -> None:
        self.live.do(
            self.live.execute(
                "UPDATE kernel_refresh_tokens SET used_at = used_at - interval '1 minute' WHERE session_id = $1",
                session.id,
            )
        )
        session.in_grace = False

    @rule(session=sessions)
    def expire(self, session: Session) -> None:
        self.live.do(
            self.live.execute(
                "UPDATE kernel_sessions SET expires_at = now() - interval '1 second' WHERE id = $1", session.id
            )
        )
        session.expired = True

    @rule(session=sessions)
    def log_out(self, session: Session) -> None:
        answer = self.live.do(session.client.post(f"{AUTH}/logout"))
        assert answer.status_code == (204 if session.stands else 401)
        session.ended = True if session.stands else session.ended

    @rule(by=sessions, target_session=sessions)
    def end(self, by: Session, target_session: Session) -> None:
        answer = self.live.do(by.client.delete(f"{AUTH}/sessions/{target_session.id}"))
        assert answer.status_code == (204 if by.stands else 401), answer.text
        if answer.status_code == 204:
            target_session.ended = True

    @rule(by=sessions)
    def end_others(self, by: Session) -> None:
        answer = self.live.do(by.client.delete(f"{AUTH}/sessions"))
        assert answer.status_code == (204 if by.stands else 401), answer.text
        if answer.status_code == 204:
            self._end_all(besides=by)

    @rule(session=sessions, right=st.booleans())
    def step_up(self, session: Session, right: bool) -> None:
        right = self._right(right)
        answer = self.post("step-up", {"password": self.password if right else "wrong"}, session.client)
        assert answer.status_code == (200 if session.stands and right else 401)

    @rule(by=sessions, right=st.booleans())
    def change_password(self, by: Session, right: bool) -> None:
        chosen = f"chosen {new_id().hex}"
        right = self._right(right)
        body = {"current_password": self.password if right else "wrong", "password": chosen}
        answer = self.post("password/change", body, by.client)
        assert answer.status_code == (204 if by.stands and right else 401)
        if answer.status_code == 204:
            self.password = chosen
            self._end_all(besides=by)

    @precondition(lambda self: self.resets < MAX_RESETS)
    @rule()
    def reset_password(self) -> None:
        self.resets += 1
        chosen = f"chosen {new_id().hex}"
        assert self.post("password/forgotten", {"email": self.account.email}).status_code == 202
        self.live.do(self.live.platform.drain())
        token = self.live.mailbox.token(self.account.email)
        assert self.post("password/reset", {"token": token, "password": chosen}).status_code == 204
        assert self.post("password/reset", {"token": token, "password": chosen}).status_code == 400
        self.password = chosen
        self._end_all()

    def _right(self, wanted: bool) -> bool:
        """Whether to send the right password."""
        right = wanted or self.failures >= MAX_FAILURES
        self.failures += not right
        return right

    def _end_all(self, *, besides: Session | None = None) -> None:
        for session in self.all:
            if session is not besides:
                session.ended = True

    @invariant()
    def the_live_sessions_are_the_model_s(self) -> None:
        for session in getattr(self, "all", []):
            write = self.live.do(session.client.delete(f"{AUTH}/sessions/{new_id()}"))
            assert write.status_code == (404 if session.stands else 401), "a write is refused at once"
            read = self.live.do(session.client.get(f"{AUTH}/sessions"))
            assert read.status_code == (401 if session.ended else 200), "so is a read, in the process that ended it"
            if session.stands:
                standing = [one.id for one in self.all if one.stands]
                assert sorted(item["id"] for item in read.json()["items"]) == sorted(map(str, standing))


async def test_sessions_do_what_the_model_does(platform: TestPlatform, mailbox: Mailbox) -> None:
    live_app = Live(platform, mailbox, asyncio.get_running_loop())

    class Machine(Sessions):
        live = live_app

    checked = settings(
        max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    await asyncio.to_thread(run_state_machine_as_test, Machine, settings=checked)
