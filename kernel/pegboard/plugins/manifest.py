"""Reads and judges a manifest, before any of the plugin's code runs."""

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pegboard_sdk.access import PERMISSION_PATTERN
from pegboard_sdk.manifest import Manifest

from pegboard.config.decode import Decoder
from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.config.source import Source, read_source

__all__ = ("NAME", "RESERVED_NAMES", "SNAKE", "read_manifest")

NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
SNAKE = NAME
_NAME_LENGTH = 32
_HOST = re.compile(r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(:\d{1,5})?$")
_SETTINGS = re.compile(r"^(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<struct>[A-Za-z_]\w*)$")

RESERVED_NAMES = frozenset(
    {
        "account", "accounts", "admin", "api", "approvals", "audit", "console", "docs", "health", "kernel",
        "maintenance", "metrics", "migration", "openapi", "organisation", "organisations", "pegboard", "pg", "piccolo",
        "plugins", "public", "static", "taxonomies", "tenant", "vault", "v1", "well_known", *Config.__struct_fields__,
    }
)  # fmt: skip
"""Names that a plugin can't have: the kernel's own paths, permission namespaces, table prefixes and sections of the
configuration.
"""


def read_manifest(path: Path, *, name: str, package: str) -> Manifest:
    """The manifest of the plugin `name`, whose top-level package is `package`.

    Raises:
        ConfigError: it can't be read, has unknown or missing keys or wrong types, or breaks a rule; `others` holds
            the rest.
    """
    source = read_source(path)
    # A manifest refers to nothing of the environment: no variables, no secrets.
    decoder = Decoder(source, {})
    manifest = decoder.table(Manifest, source.document, at=())
    errors = decoder.errors if manifest is None else list(_mistakes(manifest, source, name, package))
    if errors:
        first, *others = errors
        raise ConfigError(first.reason, file=first.file, line=first.line, key=first.key, others=others)
    assert manifest is not None
    return manifest


def _mistakes(manifest: Manifest, source: Source, name: str, package: str) -> Iterator[ConfigError]:
    yield from _identity(manifest, source, name)
    for table in ("requires", "after"):
        for other, specifier in getattr(manifest, table).items():
            if other == manifest.name:
                yield source.error((table, other), "a plugin can't depend on itself")
            elif not NAME.match(other):
                yield source.error((table, other), "is not a plugin's name: names are in snake_case")
            elif not _is_range(specifier):
                yield source.error((table, other), f'is not a version range: {specifier!r}; write one such as ">=1,<2"')
    yield from _prefixes(manifest, source)
    if manifest.settings:
        match = _SETTINGS.match(manifest.settings)
        if match is None:
            yield source.error(("settings",), f'write "{package}.settings:Settings": a module, a colon, a Struct')
        elif match["module"].partition(".")[0] != package:
            yield source.error(("settings",), f"the settings Struct must be in the plugin's own package {package}")


def _identity(manifest: Manifest, source: Source, name: str) -> Iterator[ConfigError]:
    if manifest.name != name:
        yield source.error(
            ("name",), f"is {manifest.name!r} and the entry point is named {name!r}: they must be the same"
        )
    if not NAME.match(manifest.name) or len(manifest.name) > _NAME_LENGTH:
        yield source.error(("name",), f"must be in snake_case and at most {_NAME_LENGTH} characters")
    elif manifest.name in RESERVED_NAMES or manifest.name.partition("_")[0] in ("kernel", "pg", "piccolo"):
        yield source.error(("name",), f"{manifest.name!r} is reserved: choose another name")
    if not manifest.summary.strip():
        yield source.error(("summary",), "must say in one sentence what the plugin does")
    try:
        Version(manifest.version)
    except InvalidVersion:
        yield source.error(("version",), f"is not a version: {manifest.version!r}; write one such as 1.0.0")
    if not manifest.sdk or not _is_range(manifest.sdk):
        yield source.error(("sdk",), f'is not a version range: {manifest.sdk!r}; write one such as ">=1,<2"')


def _prefixes(manifest: Manifest, source: Source) -> Iterator[ConfigError]:
    name = manifest.name
    for permission, summary in manifest.permissions.items():
        match = PERMISSION_PATTERN.match(permission)
        if match is None or match["namespace"] != name:
            yield source.error(("permissions", permission), f"must look like {name}:<noun>.<verb>")
        elif not summary.strip():
            yield source.error(("permissions", permission), 'must say what it allows, after "may"')
    for event in manifest.events:
        prefix, _, rest = event.partition(".")
        if prefix != name or not SNAKE.match(rest):
            yield source.error(("events", event), f"must look like {name}.<noun>_<past participle>")
    capabilities = manifest.capabilities
    for table in capabilities.tables:
        if not table.startswith(f"{name}_") or not SNAKE.match(table):
            yield source.error(("capabilities", "tables"), f"{table!r} must look like {name}_<noun>")
    for secret in capabilities.secrets:
        prefix, _, rest = secret.partition(".")
        if prefix != name or not SNAKE.match(rest):
            yield source.error(("capabilities", "secrets"), f"{secret!r} must look like {name}.<snake_case>")
    for service in capabilities.services:
        if not service.isidentifier():
            yield source.error(("capabilities", "services"), f"{service!r} is not a protocol's name, such as Escrow")
        elif service == "ModelGateway":
            yield source.error(("capabilities", "services"), "write `ai_spend = true` in place of ModelGateway")
    for host in capabilities.outbound_hosts:
        kind, _, named = host.partition(":")
        if kind == "settings":
            if not SNAKE.match(named) or not manifest.settings:
                yield source.error(
                    ("capabilities", "outbound_hosts"), f"{host!r} must name a field of the plugin's settings"
                )
        elif kind == "secret":
            if named not in capabilities.secrets:
                yield source.error(
                    ("capabilities", "outbound_hosts"), f"{host!r} must name a secret that capabilities.secrets lists"
                )
        elif host.partition(":")[0] != "*" and not _HOST.match(host):
            yield source.error(("capabilities", "outbound_hosts"), f"{host!r} is not a host name")


def _is_range(specifier: str) -> bool:
    try:
        SpecifierSet(specifier)
    except InvalidSpecifier:
        return False
    return True
