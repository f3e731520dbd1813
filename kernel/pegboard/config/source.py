"""The text of a TOML file, and on which line a key is."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pegboard.config.errors import ConfigError

__all__ = ("Source", "read_source")

_POSITION = re.compile(r"\s*\(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


class Source(msgspec.Struct, frozen=True):
    """A TOML file that was read: `document` is what it says."""

    path: Path
    text: str
    document: dict[str, Any]

    def error(self, at: Sequence[str], reason: str, *, inside: str = "") -> ConfigError:
        """A mistake at the dotted key `at`; `inside` is where in its value, such as `.daily` or `[1]`."""
        names = inside.partition("[")[0].split(".")[1:]
        return ConfigError(reason, file=str(self.path), line=self.line_of((*at, *names)), key=".".join(at) + inside)

    def line_of(self, at: Sequence[str]) -> int | None:
        """The line on which the key begins, or else the nearest table around it; None where nothing of it was written.

        The parser keeps no positions, so this asks it which is the first line whose presence makes the key appear. Only
        lines with the key's text are tried, so it is cheap; it is needed only for messages.
        """
        lines = self.text.split("\n")
        for depth in range(len(at), 0, -1):
            for number, line in enumerate(lines):
                if at[depth - 1] in line and _appears(lines, number, at[:depth]):
                    return number + 1
        return None


def read_source(path: Path) -> Source:
    """Read and parse a TOML file.

    Raises:
        ConfigError: there is no such file, it can't be read, or it isn't TOML in UTF-8.
    """
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file: `pegboard config init` writes one here, or name yours with --config", file=str(path)
        ) from None
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError("is not UTF-8 text", file=str(path), line=line) from error
    try:
        return Source(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        position = _POSITION.search(message)
        line = int(position["line"]) if position and position["line"] else text.count("\n") + 1
        reason = f"is not valid TOML: {_POSITION.sub('', message)}"
        raise ConfigError(reason, file=str(path), line=line) from error


def _parse(lines: Sequence[str]) -> dict[str, Any] | None:
    try:
        return tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return None


def _has(document: Any, at: Sequence[str]) -> bool:
    for name in at:
        if not isinstance(document, dict) or name not in document:
            return False
        document = document[name]
    return True


def _appears(lines: Sequence[str], number: int, at: Sequence[str]) -> bool:
    """Whether the statement that begins on line `number` (from 0) brings the key."""
    before = _parse(lines[:number])
    if before is None or _has(before, at):
        return False
    for end in range(number + 1, len(lines) + 1):
        document = _parse(lines[:end])
        if document is not None:
            return _has(document, at)
    return False
