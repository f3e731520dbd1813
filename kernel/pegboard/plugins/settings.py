"""The settings of installed plugins: which Struct they are, and whether the configuration fits it."""

import importlib

import msgspec

from pegboard.config.errors import ENVIRONMENT, ConfigError
from pegboard.config.load import RESERVED_SETTINGS
from pegboard.config.model import Config
from pegboard.config.plugin_settings import decode_settings, source_of
from pegboard.plugins.discovery import Candidate, discover
from pegboard.plugins.hooks import describe

__all__ = ("SettingsError", "effective_settings", "plugin_settings", "settings_struct")


class SettingsError(Exception):
    """What the manifest names as settings can't be used; the message says why."""


def settings_struct(candidate: Candidate) -> type[msgspec.Struct] | None:
    """The plugin's settings Struct, imported; None where it has no settings.

    Raises:
        SettingsError: it can't be imported or isn't a frozen Struct.
    """
    if not candidate.manifest.settings:
        return None
    module_name, _, struct_name = candidate.manifest.settings.partition(":")
    try:
        struct = getattr(importlib.import_module(module_name), struct_name)
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{candidate.manifest.settings} can't be imported: {describe(error)}") from error
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct) and struct.__struct_config__.frozen):
        raise SettingsError(f"{candidate.manifest.settings} must be a frozen msgspec.Struct")
    taken = RESERVED_SETTINGS.intersection(field.encode_name for field in msgspec.structs.fields(struct))
    if taken:
        which = " and ".join(sorted(taken))
        raise SettingsError(f"{candidate.manifest.settings} has fields with names of the kernel ({which}): rename them")
    return struct


def plugin_settings(candidate: Candidate, config: Config) -> msgspec.Struct | None:
    """The plugin's settings; None where it has none.

    Raises:
        SettingsError: its Struct can't be used.
        ConfigError: the configuration doesn't fit it.
    """
    struct = settings_struct(candidate)
    if struct is not None:
        return decode_settings(config, candidate.name, struct)
    entry = config.plugins.get(candidate.name)
    if entry is not None:
        for key in entry.settings:
            raise _mistake(config, "the plugin has no settings", candidate.name, key)
        for key in entry.environment:
            variable = f"PEGBOARD_{candidate.name}__{key}".upper()
            raise ConfigError("the plugin has no settings", file=ENVIRONMENT, key=variable)
    return None


def effective_settings(config: Config) -> tuple[dict[str, msgspec.Struct | None], list[ConfigError]]:
    """The settings of the plugins that are on, and every mistake in what the configuration says of plugins."""
    found = discover()
    settings: dict[str, msgspec.Struct | None] = {}
    mistakes: list[ConfigError] = []
    for name, entry in config.plugins.items():
        if not entry.enabled:
            continue
        try:
            if name in found.candidates:
                settings[name] = plugin_settings(found.candidates[name], config)
            else:
                reason = found.broken.get(name, "no installed package offers this plugin")
                mistakes.append(_mistake(config, reason, name))
        except SettingsError as error:
            mistakes.append(_mistake(config, f"its settings {error}", name))
        except ConfigError as error:
            mistakes.extend(error.all)
    return settings, mistakes


def _mistake(config: Config, reason: str, *at: str) -> ConfigError:
    return source_of(config).error(("plugins", *at), reason)
