"""What is asked of the database, for tests of what must be asked alike."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from tests.support.platform import TestPlatform

__all__ = ("statements",)


@asynccontextmanager
async def statements(platform: TestPlatform) -> AsyncIterator[list[str]]:
    """The statements that the application's connections run meanwhile."""
    seen: list[str] = []

    def note(record: Any) -> None:
        seen.append(record.query)

    async def on_all(call: Callable[[Any], None]) -> None:
        pool = platform.runtime.database.app
        async with AsyncExitStack() as stack:
            for connection in [await stack.enter_async_context(pool.acquire()) for _ in range(pool.get_max_size())]:
                call(connection)

    await on_all(lambda connection: connection.add_query_logger(note))
    try:
        yield seen
    finally:
        await on_all(lambda connection: connection.remove_query_logger(note))
