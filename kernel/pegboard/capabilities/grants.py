"""What a plugin's manifest lets it use, compiled once per registry."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
from pegboard_sdk.errors import CapabilityDenied
from pegboard_sdk.manifest import Manifest
from pegboard_sdk.services import ModelGateway

from pegboard.capabilities.hosts import Destination, HostRule
from pegboard.capabilities.statements import Statements, owners_of_tables

__all__ = ("SECRET", "SETTINGS", "Grant", "compile_grants")

SETTINGS = "settings:"
SECRET = "secret:"  # noqa: S105  # pragma: allowlist secret


class Grant:
    """One plugin's. The kernel has none: it may do everything."""

    def __init__(self, manifest: Manifest, settings: msgspec.Struct | None, statements: Statements) -> None:
        capabilities = manifest.capabilities
        self.plugin = manifest.name
        self.statements = statements
        self._services = frozenset(capabilities.services)
        self._secrets = frozenset(capabilities.secrets)
        self._extensions = frozenset(capabilities.extensions)
        self._ai_spend = capabilities.ai_spend
        self._settings = settings
        hosts = capabilities.outbound_hosts
        self._hosts = tuple(HostRule.parse(host) for host in hosts if not host.startswith((SETTINGS, SECRET)))
        self._configured = tuple(host.removeprefix(SETTINGS) for host in hosts if host.startswith(SETTINGS))
        self.secret_hosts: Sequence[str] = tuple(host.removeprefix(SECRET) for host in hosts if host.startswith(SECRET))
        """Secrets that hold addresses which may be called: they differ by tenant, so who calls looks them up."""

    def check_service(self, protocol: type) -> None:
        """Raises:
        CapabilityDenied: the plugin may not use the service `protocol`.
        """
        name = protocol.__name__
        if protocol is ModelGateway:
            if not self._ai_spend:
                raise self.denied("ai_spend", name, "language models", "add `ai_spend = true` to [capabilities]")
        elif name not in self._services:
            raise self.denied("service", name, f"the service {name}", f'add "{name}" to capabilities.services')

    def check_extensions(self, hook: str) -> None:
        """Raises:
        CapabilityDenied: the plugin may not use what others return from `hook`: it works with their secrets and hosts.
        """
        if hook not in self._extensions and not hook.startswith(f"{self.plugin}_"):
            how = f'add "{hook}" to capabilities.extensions'
            raise self.denied("extensions", hook, f"the items of the hook {hook}", how)
        if hook == "ai_providers" and not self._ai_spend:
            raise self.denied("ai_spend", hook, "language models", "add `ai_spend = true` to [capabilities]")

    def check_secret(self, name: str) -> None:
        """Raises:
        CapabilityDenied: the plugin may not read the secret `name`.
        """
        if name not in self._secrets:
            raise self.denied("secret", name, f"the secret {name}", f'add "{name}" to capabilities.secrets')

    def allows(self, where: Destination) -> bool:
        """Whether the plugin may call `where`, by its manifest's names and its settings."""
        if any(rule.allows(where) for rule in self._hosts):
            return True
        return any(rule is not None and rule.allows(where) for rule in self._setting_rules())

    def names_port(self, where: Destination) -> bool:
        """Whether the manifest, or a setting that it points to, names the very port of `where`."""
        rules = (*self._hosts, *(rule for rule in self._setting_rules() if rule is not None))
        return any(rule.port is not None and rule.allows(where) for rule in rules)

    def _setting_rules(self) -> Iterator[HostRule | None]:
        addresses = (getattr(self._settings, field, "") for field in self._configured)
        return (HostRule.of_url(address) for address in addresses if isinstance(address, str) and address)

    def denied_host(self, where: Destination) -> CapabilityDenied:
        """What calling `where` is refused with."""
        return self.denied(
            "host", where.host, f"the host {where.host}", f'add "{where.host}" to capabilities.outbound_hosts'
        )

    def denied(self, kind: str, name: str, what: str, how: str) -> CapabilityDenied:
        """The refusal, which tells the plugin's developer what to do."""
        return CapabilityDenied(
            self.plugin, kind, name, f"it uses {what}, which its manifest does not ask for: {how} in plugin.toml"
        )


def compile_grants(
    enabled: Mapping[str, tuple[Manifest, msgspec.Struct | None]], installed: Collection[Manifest]
) -> dict[str, Grant]:
    """The grants of the enabled plugins, by name. `installed` are the manifests of all others: their tables stay theirs
    while they are off.
    """
    manifests = (*(manifest for manifest, _ in enabled.values()), *installed)
    owners = owners_of_tables(manifests)
    names = frozenset(manifest.name for manifest in manifests)
    return {
        name: Grant(manifest, settings, Statements(manifest, owners, names))
        for name, (manifest, settings) in enabled.items()
    }
