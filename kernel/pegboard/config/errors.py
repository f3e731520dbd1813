"""What is wrong with the configuration, and where."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

__all__ = ("ENVIRONMENT", "ConfigError", "in_order", "raise_all", "unknown_name")

ENVIRONMENT = "environment"
"""Stands where a file's name would, for what an environment variable says."""


class ConfigError(Exception):
    """One mistake in the configuration.

    `file` is the file's path, or `environment`; `line` counts from 1 and is None where it isn't known; `key` is the
    dotted key or the variable's name; `reason` says what to do. `others` are what else the same reading found.
    """

    def __init__(
        self, reason: str, *, file: str, line: int | None = None, key: str = "", others: "Sequence[ConfigError]" = ()
    ) -> None:
        self.file = file
        self.line = line
        self.key = key
        self.reason = reason
        self.others = tuple(others)
        place = file if line is None else f"{file}:{line}"
        super().__init__(": ".join(part for part in (place, key, reason) if part))

    @property
    def all(self) -> "tuple[ConfigError, ...]":
        """This mistake and the others, in the order in which they were found."""
        return (self, *self.others)


def in_order(errors: Iterable[ConfigError]) -> list[ConfigError]:
    """The mistakes in the order of the file, then those of the environment."""
    return sorted(errors, key=lambda error: (error.file == ENVIRONMENT, error.line or 0))


def raise_all(errors: Iterable[ConfigError]) -> None:
    """Raise the first of the mistakes, in the order of the file, with the others; nothing where there is none."""
    ordered = in_order(errors)
    if ordered:
        first, *others = ordered
        raise ConfigError(first.reason, file=first.file, line=first.line, key=first.key, others=others)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The reason to give for a name that isn't known, with the nearest known one."""
    names = sorted(known)
    near = get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if near:
        return f"unknown {kind}: did you mean {near[0]}?"
    return f"unknown {kind}: known are {', '.join(names)}" if names else f"unknown {kind}: nothing can be set here"
