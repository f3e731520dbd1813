"""The pages on configuration: the kernel's, and the plugins' settings."""

import re
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import inspect

from pegboard.config.model import Config
from pegboard.config.sso import ProviderSettings, SsoProvider
from pegboard.paths import config_template
from pegboard.reference.markdown import cell, code, page, prose, table
from pegboard.reference.shapes import default_of, fields_of, type_of
from pegboard.reference.subject import Subject

__all__ = ("configuration_page", "settings_page")

_SECTION = re.compile(r"^\[(?P<name>[a-z_.]+)\]")
_KEY = re.compile(r"^(?:# )?(?P<key>[a-z_]+) = .*?(?:\s{2,}# (?P<comment>.+))?$")
_NOT_WRITTEN = ("path", "plugins", "sso")

_CONFIGURATION = """
The kernel's settings are in the tables `[pegboard]` and `[pegboard.…]` of `plugins.toml`. An environment variable wins
over the file. A list in a variable is JSON, or items with commas between them. A secret is best a reference:
`env:NAME` (a variable) or `file:PATH` (a file; relative to the folder of `plugins.toml`).
`vault:MOUNT/PATH#FIELD` is a secret of a HashiCorp-Vault-compatible server (key-value engine, version 2); `VAULT_ADDR`
and `VAULT_TOKEN` or `VAULT_TOKEN_FILE` say where it is and as whom to ask, `VAULT_NAMESPACE` and `VAULT_CACERT` where
they are needed. References are followed when a process reads its settings: restart it after a secret has changed.

`PEGBOARD_CONFIG` names the file where it isn't `./plugins.toml`. `pegboard config check` says what is wrong and on
which line, and `pegboard config show` prints what is in effect.

Plugins are turned on and off by `enabled` in `[plugins.<name>]`, or by `PEGBOARD_PLUGINS__<NAME>__ENABLED`; what else
stands in these tables are the [plugins' settings](settings.md).
"""
_SETTINGS = """
A plugin's settings stand in its table `[plugins.<name>]` of `plugins.toml`, beside `enabled`; an environment variable
wins over the file. Unknown keys and wrong types are errors that name the key and the line. The kernel's own settings
are on [another page](configuration.md).
"""


def configuration_page() -> str:
    """Every setting of the kernel; what it means is what `plugins.toml` says beside it."""
    return page("Configuration", _CONFIGURATION, _configuration())


def settings_page(subject: Subject) -> str:
    """Every setting of the built-in plugins."""
    return page("Settings of plugins", _SETTINGS, _settings(subject))


def _configuration() -> Iterator[str]:
    meanings = _meanings()
    fields = [field for field in fields_of(Config) if field.name not in _NOT_WRITTEN]
    own = [field for field in fields if not isinstance(field.type, inspect.StructType)]
    yield "## `[pegboard]`"
    yield _table(own, "PEGBOARD_", meanings.get("pegboard", {}))
    for field in fields:
        if isinstance(field.type, inspect.StructType):
            struct: type[msgspec.Struct] = field.type.cls
            yield f"## `[pegboard.{field.name}]`"
            yield prose(struct)
            meaning = meanings.get(f"pegboard.{field.name}", {})
            yield _table(fields_of(struct), f"PEGBOARD_{field.name.upper()}__", meaning)
    yield "## `[pegboard.sso.<name>]`"
    yield prose(SsoProvider)
    yield prose(ProviderSettings)
    yield "Step by step: [single sign-on](../sso.md)."
    yield _table(fields_of(SsoProvider), "PEGBOARD_SSO__<NAME>__", None)


def _settings(subject: Subject) -> Iterator[str]:
    for plugin in subject.plugins[1:]:
        yield f"## `[plugins.{plugin.name}]`"
        struct = subject.settings.get(plugin.name)
        if struct is None:
            yield f"{plugin.name} has no settings."
        else:
            yield prose(struct)
            yield _table(fields_of(struct), f"PEGBOARD_{plugin.name.upper()}__", None)


def _table(fields: list[inspect.Field], prefix: str, meanings: Mapping[str, str] | None) -> str:
    head = ["setting", "type", "default", *(() if meanings is None else ("meaning",)), "environment variable"]
    rows = []
    for field in fields:
        meaning = () if meanings is None else (cell(meanings.get(field.name, "")),)
        variable = code(prefix + field.name.upper())
        rows.append((code(field.name), cell(type_of(field.type)), cell(default_of(field)), *meaning, variable))
    return table(head, rows)


def _meanings() -> dict[str, dict[str, str]]:
    """What `plugins.toml` says beside each setting of the kernel, by table and setting."""
    found: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in config_template().read_text(encoding="utf-8").splitlines():
        if heading := _SECTION.match(line):
            section = found.setdefault(heading["name"], {})
        elif setting := _KEY.match(line):
            section[setting["key"]] = setting["comment"] or ""
    return found
