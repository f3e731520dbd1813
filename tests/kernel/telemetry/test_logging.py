"""Logs: one shape for all, and no secrets."""

import io
import logging
from collections.abc import Iterator
from typing import Literal

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pegboard.config.model import LogConfig
from pegboard.telemetry.lines import LineBuffer
from pegboard.telemetry.logging import MASK, configure_logging, redact
from pegboard_sdk.settings import Secret


@pytest.fixture
def stream() -> Iterator[io.BytesIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.BytesIO()
    configure_logging(LogConfig(level="info", format="json"), lines=LineBuffer(stream))
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.BytesIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_its_fields(stream: io.BytesIO):
    structlog.get_logger().info("order.placed", order="7")
    (line,) = lines(stream)
    assert line["event"] == "order.placed"
    assert line["order"] == "7"
    assert line["level"] == "info"
    assert "timestamp" in line


def test_libraries_log_in_the_same_shape(stream: io.BytesIO):
    logging.getLogger("asyncpg").warning("lost %s", "it")
    (line,) = lines(stream)
    assert line["event"] == "lost it"
    assert line["logger"] == "asyncpg"


def test_an_outage_that_dramatiq_repeats_is_told_ever_more_rarely(stream: io.BytesIO):
    for attempt in range(20):
        logging.getLogger("dramatiq.worker.ConsumerThread(pegboard)").critical("no connection: %s", attempt)
        logging.getLogger("asyncpg").warning("lost it")
    assert [line["event"] for line in lines(stream) if line["logger"] != "asyncpg"] == [
        f"no connection: {attempt}" for attempt in (0, 1, 3, 7, 15)
    ]
    assert len(lines(stream)) == 25


def test_a_secret_does_not_show_itself(stream: io.BytesIO):
    structlog.get_logger().info("vault.read", value=Secret("hunter2"), error=ValueError(Secret("hunter2")))
    assert b"hunter2" not in stream.getvalue()


def test_below_the_level_nothing_is_written(stream: io.BytesIO):
    structlog.get_logger().debug("noise")
    assert stream.getvalue() == b""


def test_an_exception_keeps_its_traceback(stream: io.BytesIO):
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(stream)
    assert "ValueError: broken" in str(line["exception"])


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_traceback_shows_no_local_variables(stream: io.BytesIO, format: Literal["json", "text"]):
    """They hold passwords and people's texts."""
    configure_logging(LogConfig(level="info", format=format), lines=LineBuffer(stream))

    def log_in(password: str) -> None:
        raise ValueError("broken")

    try:
        log_in("hunter" + str(2))
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("asyncpg").exception("failed too")
    assert stream.getvalue().count(b"ValueError: broken") == 2
    assert b"hunter2" not in stream.getvalue()


SENSITIVE_KEYS = st.sampled_from(
    ["password", "Authorization", "refresh_token", "x-api_key", "client_secret", "Set-Cookie"]
)


@given(SENSITIVE_KEYS, st.text(min_size=1), st.integers(0, 3))
def test_values_of_sensitive_keys_are_masked_at_any_depth(key: str, value: str, depth: int):
    event: dict[str, object] = {key: value}
    for _ in range(depth):
        event = {"outer": [event]}
    masked: object = redact(None, "info", {"event": "e", "data": event})["data"]
    for _ in range(depth):
        assert isinstance(masked, dict)
        masked = masked["outer"][0]
    assert masked == {key: MASK}


def test_what_nests_too_deep_to_be_looked_into_is_not_shown():
    event: object = {"password": "hunter2"}
    for _ in range(20):
        event = [event]
    assert "hunter2" not in repr(redact(None, "info", {"event": "e", "data": event}))


async def test_lines_of_a_loop_are_written_together_and_urgent_ones_at_once():
    stream = io.BytesIO()
    buffer = LineBuffer(stream)
    buffer.write(b"one\n")
    assert stream.getvalue() == b""
    buffer.write(b"two\n", urgent=True)
    assert stream.getvalue() == b"one\ntwo\n"
