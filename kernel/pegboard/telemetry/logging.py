"""Structured logs: JSON for machines, readable text on a terminal; secrets don't get in."""

import logging
import multiprocessing.util
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Protocol

import msgspec
import structlog

from pegboard.background import worth_telling
from pegboard.config.model import LogConfig
from pegboard.telemetry.lines import LineBuffer

__all__ = ("REQUEST", "AccessLog", "configure_logging", "name_request", "redact")

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
SENSITIVE = (
    "password", "passwd", "secret", "token", "authorization", "cookie", "api_key", "apikey", "master_key",
    "private_key", "signature",
)  # fmt: skip
MASK = "[redacted]"
MAX_DEPTH = 8


class RequestFields(Protocol):
    """What a line of a request names."""

    @property
    def request_id(self) -> str: ...
    @property
    def plugin(self) -> str: ...


REQUEST: ContextVar[RequestFields | None] = ContextVar("pegboard_request", default=None)
"""The request that runs, for lines that its handlers write. Setting it costs a tenth of binding context variables."""


def name_request(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the request's id and plugin to what is logged while it runs."""
    request = REQUEST.get()
    if request is not None:
        event.setdefault("request_id", request.request_id)
        event.setdefault("plugin", request.plugin)
    return event


def _is_sensitive(key: str) -> bool:
    lowered = key.lower()
    return any(word in lowered for word in SENSITIVE)


def _masked(value: Any, depth: int = 0) -> Any:
    if not isinstance(value, Mapping | list | tuple):
        return value
    if depth == MAX_DEPTH:
        return MASK  # what is not looked into must not be shown
    if isinstance(value, Mapping):
        return {k: MASK if _is_sensitive(str(k)) else _masked(v, depth + 1) for k, v in value.items()}
    return [_masked(item, depth + 1) for item in value]


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask the values of keys whose names say that they are secret, at any depth."""
    for key, value in event.items():
        if key not in ("event", "level", "timestamp"):
            if _is_sensitive(key):
                event[key] = MASK
            elif isinstance(value, Mapping | list | tuple):
                event[key] = _masked(value)
    return event


class _Output:
    """structlog's logger: takes rendered lines."""

    def __init__(self, lines: LineBuffer) -> None:
        self._lines = lines

    def _write(self, message: str | bytes, *, urgent: bool) -> None:
        line = message if isinstance(message, bytes) else message.encode("utf-8", "backslashreplace")
        self._lines.write(line + b"\n", urgent=urgent)

    def debug(self, message: str | bytes) -> None:
        self._write(message, urgent=False)

    info = msg = debug

    def warning(self, message: str | bytes) -> None:
        self._write(message, urgent=True)

    warn = error = critical = fatal = exception = failure = err = warning


class _Repeated(logging.Filter):
    """What dramatiq says of Redis at each of its attempts is told ever more rarely, until it was silent for a while."""

    CALM = 30.0

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, tuple[int, float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("dramatiq.worker.ConsumerThread"):
            return True
        count, last = self._told.get(str(record.msg), (0, 0.0))
        count = count + 1 if record.created - last < self.CALM else 1
        self._told[str(record.msg)] = count, record.created
        return worth_telling(count)


class _Stdlib(logging.Handler):
    """Lines of libraries that log through the standard library, in the same shape."""

    def __init__(self, lines: LineBuffer, formatter: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(formatter)
        self.addFilter(_Repeated())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # the standard library's own contract for handlers
            self.handleError(record)
        else:
            self._lines.write(
                line.encode("utf-8", "backslashreplace") + b"\n", urgent=record.levelno >= logging.WARNING
            )


def _json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _plain(value: Any) -> str:
    """One word of a line: what a caller sent must not begin another."""
    text = str(value)
    return text if text.isprintable() else repr(text)


class AccessLog:
    """One line per request. It takes a short way past structlog's processors: they would cost more than the rest of the
    line.
    """

    def __init__(self, lines: LineBuffer, *, as_json: bool, enabled: bool) -> None:
        self._lines = lines
        self._as_json = as_json
        self.enabled = enabled

    def write(self, fields: dict[str, Any], *, failed: bool) -> None:
        """Write `fields`, none of which may be secret. `failed` requests are written at once."""
        if self._as_json:
            line = msgspec.json.encode(fields)
        else:
            shown = " ".join(f"{k}={_plain(v)}" for k, v in fields.items() if k not in ("timestamp", "level", "event"))
            line = f"{fields['timestamp']} [{fields['level']:<7}] {fields['event']} {shown}".encode()
        self._lines.write(line + b"\n", urgent=failed)


def configure_logging(config: LogConfig, *, lines: LineBuffer | None = None) -> AccessLog:
    """Set up structlog and the standard library's logging for this process. Call once, at the start of a command."""
    as_json = config.format == "json" or (config.format == "auto" and not sys.stderr.isatty())
    level = LEVELS[config.level]
    buffer = lines or LineBuffer()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        name_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    if as_json:
        rendering: list[Any] = [structlog.processors.format_exc_info, _json]
    else:
        # The default, where rich is installed, shows local variables: passwords and people's texts among them.
        plain = structlog.dev.plain_traceback
        rendering = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Output(buffer),
        cache_logger_on_first_use=False,
    )
    handler = _Stdlib(
        buffer,
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        ),
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.INFO))
    for name in ("httpx", "httpcore", "asyncio", "dramatiq"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # At the end of this process; atexit alone would leave out the server's workers, which end as multiprocessing's do.
    multiprocessing.util.Finalize(None, buffer.flush, exitpriority=0)
    return AccessLog(buffer, as_json=as_json, enabled=level <= LEVELS["info"])
