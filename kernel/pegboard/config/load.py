"""Reads the configuration: `plugins.toml`, then the environment over it.

| variable | sets |
|---|---|
| `PEGBOARD_STRICT`, `PEGBOARD_VAR` | `[pegboard]` |
| `PEGBOARD_<SECTION>__<FIELD>` | `[pegboard.<section>]` |
| `PEGBOARD_SSO__<NAME>__<FIELD>` | `[pegboard.sso.<name>]` |
| `PEGBOARD_PLUGINS__<PLUGIN>__ENABLED` | whether a plugin is on |
| `PEGBOARD_<PLUGIN>__<FIELD>` | a plugin's setting |
"""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
from pegboard_sdk.settings import Secret

from pegboard.config.checks import CHECKS, PLUGIN_CHECKS
from pegboard.config.decode import Decoder, Variable
from pegboard.config.errors import ENVIRONMENT, ConfigError, raise_all, unknown_name
from pegboard.config.model import Block, Config, PluginEntry
from pegboard.config.source import read_source
from pegboard.config.sso import PROVIDER_NAME, SsoProvider
from pegboard.paths import config_path

__all__ = ("RESERVED_SETTINGS", "load_config", "read_config")

RESERVED_SETTINGS = frozenset({"blocked", "enabled", "pin"})
"""Keys of `[plugins.<name>]` that are the kernel's: a plugin's settings can't be called so."""

_PREFIX = "PEGBOARD_"
_PLUGIN_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
_NOT_WRITTEN = frozenset({"path", "plugins"})
_FIELDS = {field.name: field for field in msgspec.structs.fields(Config) if field.name not in _NOT_WRITTEN}
_SECTIONS = {name: field.type for name, field in _FIELDS.items() if isinstance(field.default, msgspec.Struct)}
_SSO = "sso"
_SCALARS = tuple(name for name in _FIELDS if name not in _SECTIONS and name != _SSO)

_Scalars = msgspec.defstruct(
    "_Scalars", [(name, _FIELDS[name].type, _FIELDS[name].default) for name in _SCALARS], frozen=True
)


class _Environment(msgspec.Struct):
    """The variables that set something, by what they set."""

    scalars: dict[str, Variable] = {}
    sections: dict[str, dict[str, Variable]] = {}
    sso: dict[str, dict[str, Variable]] = {}
    enabled: dict[str, Variable] = {}
    settings: dict[str, dict[str, Variable]] = {}


def load_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """The effective configuration.

    `path` names the file; without it `PEGBOARD_CONFIG`, else `plugins.toml` of the working directory, else the
    checkout's. `environ` is the process's unless given. `var` comes out absolute; it and `file:` references are
    relative to the file's folder.

    Raises:
        ConfigError: the first mistake; `others` holds the rest.
    """
    config, mistakes = read_config(path, environ)
    raise_all(mistakes)
    return config


def read_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> tuple[Config, list[ConfigError]]:
    """What of the configuration can be read, and every mistake in the rest: for who looks for more of them.

    A section with a mistake has its defaults, and a plugin whose `enabled` is wrong or missing counts as on.

    Raises:
        ConfigError: there is no such file, it can't be read, or it isn't TOML.
    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd()
    source = read_source(config_path(environ, folder) if path is None else folder / path)
    decoder = Decoder(source, environ)

    for name in source.document:
        if name not in ("pegboard", "plugins"):
            decoder.errors.append(source.error((name,), unknown_name("table", name, ("pegboard", "plugins"))))
    kernel = _table(decoder, source.document, "pegboard")
    plugins = _table(decoder, source.document, "plugins")

    variables = _sort_variables(environ, {name.lower() for name in plugins}, decoder)
    values: dict[str, Any] = {}
    for name in kernel:
        if name not in _FIELDS:
            decoder.errors.append(source.error(("pegboard", name), unknown_name("key", name, _FIELDS)))
    for name, struct in _SECTIONS.items():
        section = variables.sections.get(name, {})
        decoded = decoder.table(
            struct, kernel.get(name, {}), at=("pegboard", name), variables=section, checks=CHECKS.get(name)
        )
        values[name] = _FIELDS[name].default if decoded is None else decoded
    scalars = {name: kernel[name] for name in _SCALARS if name in kernel}
    decoded = decoder.table(_Scalars, scalars, at=("pegboard",), variables=variables.scalars)
    values.update(msgspec.structs.asdict(_Scalars() if decoded is None else decoded))
    values[_SSO] = _providers(decoder, _table(decoder, kernel, _SSO, "pegboard"), variables)
    entries = _plugin_entries(decoder, plugins, variables)
    values["var"] = str(Path(os.path.normpath(source.path.parent / Path(values["var"]).expanduser())))
    return Config(**values, plugins=entries, path=str(source.path)), decoder.errors


def _table(decoder: Decoder, document: dict[str, Any], name: str, *within: str) -> dict[str, Any]:
    value = document.get(name, {})
    if isinstance(value, dict):
        return value
    decoder.errors.append(decoder.source.error((*within, name), "expected a table"))
    return {}


def _providers(decoder: Decoder, tables: dict[str, Any], variables: _Environment) -> dict[str, SsoProvider]:
    providers: dict[str, SsoProvider] = {}
    for name in dict.fromkeys((*tables, *variables.sso)):
        at = ("pegboard", _SSO, name)
        if not re.match(PROVIDER_NAME, name):
            decoder.errors.append(decoder.source.error(at, "a provider's name is in snake_case"))
            continue
        decoded = decoder.table(SsoProvider, tables.get(name, {}), at=at, variables=variables.sso.get(name))
        if decoded is not None:
            providers[name] = decoded
    return providers


def _plugin_entries(decoder: Decoder, plugins: dict[str, Any], variables: _Environment) -> dict[str, PluginEntry]:
    entries: dict[str, PluginEntry] = {}
    for name in (*plugins, *(name for name in variables.enabled if name not in plugins)):
        at = ("plugins", name)
        table = plugins.get(name, {})
        if not _PLUGIN_NAME.match(name):
            decoder.errors.append(decoder.source.error(at, "a plugin's name is in snake_case"))
        elif name in _FIELDS or name in _NOT_WRITTEN or name == "kernel":
            decoder.errors.append(decoder.source.error(at, "this name is the kernel's: a plugin can't have it"))
        elif not isinstance(table, dict):
            decoder.errors.append(decoder.source.error(at, f"expected a table: write [plugins.{name}]"))
        else:
            decisions = {key: table[key] for key in RESERVED_SETTINGS if key in table}
            flag = {"enabled": variables.enabled[name]} if name in variables.enabled else {}
            decoded = decoder.table(_Decisions, decisions, at=at, variables=flag, checks=PLUGIN_CHECKS)
            settings = {key: value for key, value in table.items() if key not in RESERVED_SETTINGS}
            environment = variables.settings.get(name, {})
            entries[name] = PluginEntry(
                name=name,
                enabled=decoded is None or decoded.enabled,
                settings=settings,
                environment={field: variable.text for field, variable in environment.items()},
                pin="" if decoded is None else decoded.pin,
                blocked=[] if decoded is None else decoded.blocked,
            )
    return entries


class _Decisions(msgspec.Struct, frozen=True):
    enabled: bool
    pin: str = ""
    blocked: list[Block] = []


def _sort_variables(environ: Mapping[str, str], written: set[str], decoder: Decoder) -> _Environment:
    """Find the variables that are ours. A name with `__` that fits nothing is a mistake, and so is a near miss without.

    Other names without `__` are left alone: Kubernetes, for one, sets `PEGBOARD_PORT` for a service named `pegboard`.
    """
    found = _Environment()
    ours = {name: text for name, text in environ.items() if name.startswith(_PREFIX) and name != "PEGBOARD_CONFIG"}
    unsorted: list[tuple[Variable, str, str]] = []
    for name in sorted(ours):
        variable = Variable(name, Secret(ours[name]))
        first, separator, rest = name.removeprefix(_PREFIX).lower().partition("__")
        if not separator:
            if first in _SCALARS:
                found.scalars[first] = variable
            elif near := get_close_matches(first, _SCALARS, n=1, cutoff=0.7):
                reason = f"unknown setting: did you mean {_PREFIX}{near[0].upper()}?"
                decoder.errors.append(ConfigError(reason, file=ENVIRONMENT, key=name))
        elif first == _SSO:
            provider, _, field = rest.partition("__")
            found.sso.setdefault(provider, {})[field] = variable
        elif first == "plugins":
            plugin, _, field = rest.partition("__")
            if field == "enabled":
                found.enabled[plugin] = variable
            else:
                reason = f"only ENABLED is set this way: a plugin's settings are {_PREFIX}{plugin.upper()}__<FIELD>"
                decoder.errors.append(ConfigError(reason, file=ENVIRONMENT, key=name))
        elif first in _SECTIONS:
            found.sections.setdefault(first, {})[rest] = variable
        else:
            unsorted.append((variable, first, rest))
    known = written | set(found.enabled)
    for variable, plugin, field in unsorted:
        if plugin in known:
            found.settings.setdefault(plugin, {})[field] = variable
        else:
            reason = unknown_name("section or plugin", plugin, {*_SECTIONS, *known})
            decoder.errors.append(ConfigError(reason, file=ENVIRONMENT, key=variable.name))
    return found
