"""Texts go to the provider and stay nowhere: not in the database, not in a log. Nor does the key."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
from pegboard.config.model import LogConfig
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import configure_logging
from pegboard_sdk import new_id

from tests.plugins.ai_providers.factories import ask, run_janitor, streamed
from tests.support.aimock import KEY
from tests.support.at_rest import dump
from tests.support.platform import Account, TestPlatform

ANSWER = "What shall we build today"


@pytest.fixture
def log(platform: TestPlatform) -> Iterator[io.BytesIO]:
    """All that is logged, of our own and by libraries, as `pegboard serve` logs it, and more."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.BytesIO()
    access_log = configure_logging(LogConfig(level="debug", format="json"), lines=LineBuffer(stream))
    previous, platform.app._access_log = platform.app._access_log, access_log
    yield stream
    platform.app._access_log = previous
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_texts_and_keys_stay_nowhere(
    platform: TestPlatform, ada: Account, database_url: str, tag: str, log: io.BytesIO
):
    for how in ("greet me", "break off", "fail", "refuse the key", "talk nonsense", "hang up"):
        text = f"{how} {tag} by the whispering brook"
        await ask(ada, text)
        await ask(ada, text, key=str(new_id()))
        async with streamed(platform, ada, text) as answer:
            await answer.rest()
    await run_janitor(platform, ada.tenant_id)
    dumped = await dump(database_url)
    logged = log.getvalue().decode()
    assert str(ada.id) in dumped
    assert "/api/v1/ai_providers/completions/stream" in logged
    for what, secret in (("prompt", tag), ("prompt", "whispering brook"), ("answer", ANSWER), ("key", KEY)):
        assert secret not in dumped, f"the {what} is in the database"
        assert secret not in logged, f"the {what} is in the log"
        assert secret.encode().hex() not in dumped, f"the {what} is in the database, in hexadecimal"
