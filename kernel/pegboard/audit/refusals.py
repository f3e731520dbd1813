"""What people were refused, and which of their writes failed, on record: without letting them flood it.

Entries are never removed, so one account's script that runs into 403 all day must not write one each time.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Literal
from uuid import UUID

import structlog
from pegboard_sdk.access import Principal

from pegboard.audit.writer import write_entry
from pegboard.database.pool import TRANSACTION_ERRORS, Database

__all__ = ("Refusals",)

WINDOW = 60.0
"""Seconds in which the same account's same action is on record once."""

MAX_KEYS = 10_000
_TIMEOUT = 2.0
_RETRY = 1.0
_Key = tuple[UUID | None, str, str]
log = structlog.get_logger("pegboard.audit")


class _Noted:
    __slots__ = ("at", "repeated")

    def __init__(self, at: float, repeated: int = 0) -> None:
        self.at = at
        self.repeated = repeated


class Refusals:
    """One per process. Each (account, action, outcome) gets an entry a minute; how many were left out since the last
    one is in the next one (`after.repeated`), or in the log where no other comes.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._noted: dict[_Key, _Noted] = {}

    async def note(
        self,
        principal: Principal,
        action: str,
        reason: str,
        request_id: str,
        *,
        outcome: Literal["refused", "failed"],
        object_type: str = "",
        object_id: str | None = None,
    ) -> None:
        """Write that `principal` tried `action` and was refused, or that it failed, in a transaction of its own.

        Call it after the action's rollback. Never raises for an outage: what could not be written is in the log.
        `reason` is a short text without secrets or personal data.
        """
        now = self._clock()
        key: _Key = (principal.account_id, action, outcome)
        noted = self._noted.get(key)
        if noted is not None and now - noted.at < WINDOW:
            noted.repeated += 1
            return
        repeated = 0 if noted is None else self._noted.pop(key).repeated
        self._make_room(now)
        noted = self._noted[key] = _Noted(now)
        try:
            async with asyncio.timeout(_TIMEOUT), self._database.transaction(principal.tenant_id) as connection:
                await write_entry(
                    connection,
                    principal,
                    action,
                    object_type=object_type,
                    object_id=object_id,
                    after={"repeated": repeated} if repeated else None,
                    outcome=outcome,
                    reason=reason,
                    request_id=request_id,
                )
        except TRANSACTION_ERRORS as error:
            noted.at = now - WINDOW + _RETRY
            noted.repeated += repeated + 1
            log.error(
                "audit.not_written",
                account=str(principal.account_id),
                action=action,
                outcome=outcome,
                reason=reason,
                request_id=request_id,
                error=repr(error),
            )

    def close(self) -> None:
        """Tell the log of what was left out and is in no entry."""
        while self._noted:
            self._drop_first()

    def _make_room(self, now: float) -> None:
        # Keys are in the order of their entries' times.
        while self._noted:
            first = next(iter(self._noted.values()))
            if now - first.at < WINDOW and len(self._noted) < MAX_KEYS:
                break
            self._drop_first()

    def _drop_first(self) -> None:
        key = next(iter(self._noted))
        repeated = self._noted.pop(key).repeated
        if repeated:
            account, action, outcome = key
            log.warning("audit.repeated", account=str(account), action=action, outcome=outcome, repeated=repeated)
