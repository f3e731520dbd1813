"""A plugin's settings: `[plugins.<name>]` and `PEGBOARD_<NAME>__<FIELD>`, as its settings Struct."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from pegboard.config.decode import Decoder, Variable
from pegboard.config.errors import ConfigError, raise_all
from pegboard.config.model import Config, PluginEntry
from pegboard.config.source import Source, read_source

__all__ = ("decode_settings", "source_of")

T = TypeVar("T", bound=msgspec.Struct)


def decode_settings(config: Config, name: str, type: type[T], environ: Mapping[str, str] | None = None) -> T:
    """The settings of the plugin `name` as `type`; a plugin that the configuration doesn't name gets the defaults.

    `environ` (the process's unless given) is where `env:NAME` references point; the plugin's own variables are
    already in `config`.

    Raises:
        ConfigError: an unknown key, a wrong type, a missing key, or a reference that leads nowhere.
    """
    entry = config.plugins.get(name) or PluginEntry(name=name, enabled=False)
    decoder = Decoder(source_of(config), os.environ if environ is None else environ)
    variables = {
        field: Variable(f"PEGBOARD_{name.upper()}__{field.upper()}", text) for field, text in entry.environment.items()
    }
    settings = decoder.table(type, entry.settings, at=("plugins", name), variables=variables)
    raise_all(decoder.errors)
    assert settings is not None
    return settings


def source_of(config: Config) -> Source:
    """The file again, for the lines that mistakes point at. A configuration that was made in memory has none."""
    if not config.path:
        return Source(Path("plugins.toml"), "", {})
    try:
        return read_source(Path(config.path))
    except ConfigError:
        # It was readable when `config` was made; what is judged is `config`, and only the line numbers are lost.
        return Source(Path(config.path), "", {})
