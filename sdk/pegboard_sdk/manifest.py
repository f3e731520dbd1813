"""The manifest, `plugin.toml`: what a plugin is, read before any of its code runs."""

import msgspec

__all__ = ("MANIFEST_NAME", "Capabilities", "Manifest")

MANIFEST_NAME = "plugin.toml"


class Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a plugin asks to use: tables that it owns, hosts that it calls, vault secrets that it reads, AI spend."""

    tables: list[str] = []
    outbound_hosts: list[str] = []
    secrets: list[str] = []
    ai_spend: bool = False


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plugin's manifest.

    `name` is snake_case and the entry point's name; it prefixes the plugin's tables, permissions, events, jobs and
    routes. `sdk` and the values of `requires` (hard) and `after` (soft: only an order, if present) are version
    specifiers (PEP 440), such as `>=1,<2`. `settings` names the settings Struct as `module:Struct`, or is empty.
    """

    name: str
    summary: str
    version: str
    sdk: str
    requires: dict[str, str] = {}
    after: dict[str, str] = {}
    permissions: dict[str, str] = {}
    events: dict[str, str] = {}
    capabilities: Capabilities = Capabilities()
    settings: str = ""
