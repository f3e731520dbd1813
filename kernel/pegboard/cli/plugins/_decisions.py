"""Editing what plugins.toml says of a plugin to the kernel: pins and blocks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pegboard.cli import CommandError, CommandLine

if TYPE_CHECKING:
    from pegboard.config.model import Block, PluginEntry
    from pegboard.plugins.discovery import Candidate

__all__ = ("edit", "installed_hash", "installed_plugin", "written_blocks")


def installed_plugin(name: str) -> "Candidate":
    """The plugin that is installed.

    Raises:
        CommandError: none is, or its manifest is wrong.
    """
    from pegboard.plugins.discovery import discover

    found = discover()
    if name in found.candidates:
        return found.candidates[name]
    reason = found.broken.get(name, "no installed package offers a plugin of this name")
    raise CommandError(f"{name}: {reason}")


def installed_hash(candidate: "Candidate") -> str:
    """The hash of its files.

    Raises:
        CommandError: they can't be judged.
    """
    from pegboard.plugins.content import ContentUnknown, content_hash

    try:
        return content_hash(candidate)
    except ContentUnknown as error:
        raise CommandError(f"{candidate.name}: {error}") from error


def edit(cli: CommandLine, name: str, keys: "Callable[[PluginEntry | None], Mapping[str, Any]]") -> None:
    """Set keys of `[plugins.<name>]`, by what is there.

    A plugin that the file doesn't name gets a table, and is off in it.

    Raises:
        CommandError: the file can't be written.
        ConfigError: it has a mistake.
    """
    from pegboard.plugins.errors import PluginsFileUnwritable
    from pegboard.plugins.plugins_file import edit_file, with_keys

    config = cli.config()
    entry = config.plugins.get(name)
    wanted = dict(keys(entry))

    def change(text: str) -> str:
        import tomllib

        named = "enabled" in tomllib.loads(text).get("plugins", {}).get(name, {})
        return with_keys(text, name, wanted if named else {"enabled": False, **wanted})

    try:
        edit_file(Path(config.path), change)
    except PluginsFileUnwritable as error:
        raise CommandError(error.detail) from error


def written_blocks(blocks: "Sequence[Block]") -> list[dict[str, str]]:
    """Blocks as they are written: without what is empty."""
    return [{key: value for key, value in msgspec.to_builtins(block).items() if value} for block in blocks]
