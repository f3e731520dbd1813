"""Hearing that revisions changed, over a connection of its own. A hint: whom it doesn't reach polls."""

import asyncio
from typing import Any

import asyncpg

from pegboard.database.pool import SYSTEM_NAME, Database

__all__ = ("Listener",)


class Listener:
    """Sets `woken` whenever `channel` is notified."""

    def __init__(self, database: Database, channel: str, woken: asyncio.Event) -> None:
        self._database = database
        self._channel = channel
        self._woken = woken
        self._connection: asyncpg.Connection | None = None

    async def ensure(self) -> None:
        """Listen, also again after the connection broke.

        Raises:
            OSError, asyncpg.PostgresError: the database can't be reached.
        """
        if self._connection is not None and not self._connection.is_closed():
            return
        connection: asyncpg.Connection = await asyncpg.connect(
            self._database.urls.system, server_settings={"application_name": SYSTEM_NAME}, timeout=5
        )
        self._connection = connection
        await connection.add_listener(self._channel, self._heard)

    async def close(self) -> None:
        """Stop listening."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _heard(self, *_: Any) -> None:
        self._woken.set()
