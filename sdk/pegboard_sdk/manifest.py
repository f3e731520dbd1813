"""The manifest, `plugin.toml`: what a plugin is, read before any of its code runs."""

import msgspec

__all__ = ("MANIFEST_NAME", "Capabilities", "Manifest")

MANIFEST_NAME = "plugin.toml"


class Capabilities(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a plugin asks to use. Whatever is not listed is refused when the plugin's code uses it.

    `tables` are those that it owns. `services` are the protocols of other plugins and of the kernel that it uses, by
    name (`Escrow`); a plugin may always use its own. `secrets` are vault secrets that it reads, `<name>.<snake_case>`.
    `outbound_hosts` are hosts that it calls: `api.example.com`, `*.example.com` (its subdomains), `*` (any), each with
    `:port` where it is only that one; or where the address is configured, `settings:<field>` and `secret:<secret>`:
    the host of the URL there. `ai_spend` is whether it may have language models answer (`ModelGateway`), which costs
    money. `extensions` are collecting hooks, such as `payment_providers`, whose items it uses; those that it defines
    itself it may always use.
    """

    tables: list[str] = []
    outbound_hosts: list[str] = []
    secrets: list[str] = []
    ai_spend: bool = False
    services: list[str] = []
    extensions: list[str] = []


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
