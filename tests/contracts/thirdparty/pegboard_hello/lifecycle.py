"""The plugin's life in a process: what it does when it starts and stops there, and how it is meanwhile."""

import structlog
from pegboard_sdk.health import HealthCheck

from pegboard_hello.settings import Settings

__all__ = ("say_goodbye", "say_hello", "words_check")


async def say_hello() -> None:
    """Before the first request."""
    structlog.get_logger("pegboard_hello").info("hello.started")


async def say_goodbye() -> None:
    """After the last one."""
    structlog.get_logger("pegboard_hello").info("hello.stopped")


def words_check(settings: Settings) -> HealthCheck:
    """It can't greet without words."""

    async def check() -> str | None:
        return None if settings.congratulation.strip() else "set plugins.hello.congratulation: it is empty"

    return HealthCheck(name="words", check=check)
