"""Whose code a file is: a plugin's, the kernel's, or a library's."""

import traceback
from collections.abc import Iterable
from pathlib import Path
from types import FrameType, TracebackType

import pegboard_sdk

import pegboard
from pegboard.plugins.registry import Registry

__all__ = ("KERNEL", "LIBRARIES", "Code", "Owners", "place", "raised", "running")

KERNEL = "kernel"
LIBRARIES = "libraries"
Code = tuple[str, int, str]
"""A line that runs: file, line, function."""


class Owners:
    """Of one registry: which folders its plugins' code is in."""

    def __init__(self, registry: Registry) -> None:
        folders = [(plugin.folder, plugin.name) for plugin in registry.plugins if plugin.folder]
        folders += [(str(Path(module.__file__ or "").parent), KERNEL) for module in (pegboard, pegboard_sdk)]
        # The longest first: a plugin's package may lie within another's.
        self._folders = sorted(((f"{folder}/", name) for folder, name in folders), key=lambda one: -len(one[0]))
        self._known: dict[str, str] = {}

    def of(self, file: str) -> str:
        """A plugin's name, `kernel` or `libraries`."""
        owner = self._known.get(file)
        if owner is None:
            owner = next((name for folder, name in self._folders if file.startswith(folder)), LIBRARIES)
            self._known[file] = owner
        return owner

    def is_plugin(self, file: str) -> bool:
        """Whether it is a plugin's."""
        return self.of(file) not in (KERNEL, LIBRARIES)

    def innermost(self, lines: Iterable[Code]) -> tuple[str, Code] | None:
        """Of lines that called each other, outermost first: the last one of a plugin, and which plugin; None where no
        plugin's code is among them.
        """
        found: tuple[str, Code] | None = None
        for line in lines:
            if self.is_plugin(line[0]):
                found = self.of(line[0]), line
        return found

    def attributed(self, lines: Iterable[Code]) -> tuple[str, Code]:
        """As `innermost`, and where no plugin's code is among them: the kernel's last line, else the last one.

        Raises:
            ValueError: there are no lines.
        """
        several = list(lines)
        if not several:
            raise ValueError("no lines")
        plugins = self.innermost(several)
        if plugins is not None:
            return plugins
        kernels = [line for line in several if self.of(line[0]) == KERNEL]
        return (KERNEL, kernels[-1]) if kernels else (LIBRARIES, several[-1])


def place(line: Code) -> str:
    """The line as people read it."""
    file, number, function = line
    return f"{file}:{number} {function}".rstrip()


def raised(trace: TracebackType | None) -> list[Code]:
    """The lines that an error came through, outermost first."""
    return [(frame.f_code.co_filename, number, frame.f_code.co_name) for frame, number in traceback.walk_tb(trace)]


def running(frame: FrameType) -> list[Code]:
    """The lines that run in a thread, outermost first."""
    lines = [(one.f_code.co_filename, number, one.f_code.co_name) for one, number in traceback.walk_stack(frame)]
    return lines[::-1]
