"""What the reference is about: the kernel and the plugins that come with it, whatever an installation turned on."""

import importlib
import importlib.metadata
from types import ModuleType

import msgspec
from pegboard_sdk.hookspecs import PROJECT

from pegboard.config.model import Config, PluginEntry
from pegboard.plugins.discovery import Candidate, discover
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard.plugins.settings import settings_struct

__all__ = ("Subject", "read_subject")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The built-in plugins, loaded with the settings that they have when nobody decides anything.

    `implementations` names the plugins that implement a hook, `settings` each plugin's settings Struct.
    """

    registry: Registry
    implementations: dict[str, tuple[str, ...]]
    settings: dict[str, type[msgspec.Struct]]

    @property
    def plugins(self) -> tuple[LoadedPlugin, ...]:
        """The kernel's part first, then the plugins by name."""
        return tuple(sorted(self.registry.plugins, key=lambda plugin: (plugin.name != "kernel", plugin.name)))


def read_subject() -> Subject:
    """Load the built-in plugins. It needs no configuration and no database.

    Raises:
        ConfigError: one of them can't be loaded.
    """
    distribution = importlib.metadata.distribution(PROJECT)
    candidates = discover([distribution]).candidates
    config = Config(strict=True, plugins={name: PluginEntry(name=name, enabled=True) for name in candidates})
    registry = load_plugins(config, distributions=[distribution])
    implementations: dict[str, list[str]] = {}
    for name, candidate in candidates.items():
        for hook in _implemented(importlib.import_module(candidate.module)):
            implementations.setdefault(hook, []).append(name)
    return Subject(
        registry=registry,
        implementations={hook: tuple(sorted(plugins)) for hook, plugins in implementations.items()},
        settings=_settings(candidates),
    )


def _implemented(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if hasattr(value, f"{PROJECT}_impl")]


def _settings(candidates: dict[str, Candidate]) -> dict[str, type[msgspec.Struct]]:
    structs = {name: settings_struct(candidate) for name, candidate in candidates.items()}
    return {name: struct for name, struct in structs.items() if struct is not None}
