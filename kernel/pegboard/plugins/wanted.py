"""The configuration with the plugins on that a revision wants."""

import hashlib
from collections.abc import Collection
from pathlib import Path

import msgspec

from pegboard.config.model import Config, PluginEntry

__all__ = ("conflict", "enabled_plugins", "source_hash", "with_plugins")


def enabled_plugins(config: Config) -> frozenset[str]:
    """The plugins that the file and the environment turn on."""
    return frozenset(name for name, entry in config.plugins.items() if entry.enabled)


def source_hash(file_hash: str, enabled: Collection[str]) -> str:
    """What is known of a `plugins.toml`: its content, and which plugins it turns on together with the environment."""
    return hashlib.sha256(f"{file_hash} {' '.join(sorted(enabled))}".encode()).hexdigest()


def with_plugins(config: Config, plugins: Collection[str]) -> Config:
    """`config` with exactly `plugins` on; settings stay."""
    entries = {
        name: msgspec.structs.replace(
            config.plugins.get(name) or PluginEntry(name=name, enabled=False), enabled=name in plugins
        )
        for name in (*config.plugins, *(name for name in plugins if name not in config.plugins))
    }
    return msgspec.structs.replace(config, plugins=entries)


def conflict(path: Path, in_file: Collection[str], plugins: Collection[str], node: str) -> str | None:
    """How the file differs from the wanted `plugins`, which count; None where they agree."""
    only_file = sorted(set(in_file).difference(plugins))
    only_revision = sorted(set(plugins).difference(in_file))
    parts = [f"{name} on, and it is off" for name in only_file] + [
        f"{name} off, and it is on" for name in only_revision
    ]
    if not parts:
        return None
    return f"{path} on {node} says {'; '.join(parts)}: toggle it, or edit the file"
