"""Capabilities: what the code uses, and what the manifest asks for."""

import ast
from collections.abc import Iterator

from pegboard_sdk.manifest import MANIFEST_NAME

from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.conformance.source import Source

__all__ = ("RULES",)

_GATEWAY = "ModelGateway"


def _used(project: Project, *methods: str) -> Iterator[tuple[Source, ast.Call, ast.expr]]:
    """Calls of methods, whatever the object, with their first argument."""
    for source in project.sources:
        for node in source.nodes:
            called = node.func if isinstance(node, ast.Call) and node.args else None
            if isinstance(called, ast.Attribute) and called.attr in methods:
                assert isinstance(node, ast.Call)
                yield source, node, node.args[0]


def _services(project: Project) -> Iterator[tuple[Source, int, str]]:
    """Service protocols of others that are asked for by name."""
    for source, call, protocol in _used(project, "service", "optional_service"):
        name = source.name_of(protocol)
        if name and name.partition(".")[0] != project.package and "." in name:
            yield source, call.lineno, name.rpartition(".")[2]


def _outbound(project: Project) -> Iterator[tuple[Source, int]]:
    for source in project.sources:
        for node in source.nodes:
            if isinstance(node, ast.Attribute) and node.attr == "outbound":
                yield source, node.lineno


def _declared(project: Project) -> Iterator[Finding]:
    asked = project.manifest.capabilities
    for source, call, name in _used(project, "secret"):
        if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value not in asked.secrets:
            yield Finding(
                f"reads the secret {name.value}, and capabilities.secrets does not have it", source.shown, call.lineno
            )
    for source, line, name in _services(project):
        if name == _GATEWAY:
            if not asked.ai_spend:
                yield Finding(f"uses {_GATEWAY}, and capabilities.ai_spend is not true", source.shown, line)
        elif name not in asked.services:
            yield Finding(f"uses the service {name}, and capabilities.services does not have it", source.shown, line)
    if not asked.outbound_hosts:
        for source, line in _outbound(project):
            yield Finding("calls out, and capabilities.outbound_hosts names no host", source.shown, line)


def _least(project: Project) -> Iterator[Finding]:
    asked = project.manifest.capabilities
    texts = {text for source in project.sources for _, text in source.strings()}
    names = {name for _, _, name in _services(project)}
    for secret in asked.secrets:
        in_hosts = f"secret:{secret}" in asked.outbound_hosts
        if secret not in texts and secret.partition(".")[2] not in texts and not in_hosts:
            yield _finding(project, f"capabilities.secrets has {secret}, which the code does not read")
    for service in asked.services:
        if service not in names and not _is_mentioned(project, service):
            yield _finding(project, f"capabilities.services has {service}, which the code does not use")
    if "*" in asked.outbound_hosts:
        yield _finding(project, "capabilities.outbound_hosts has *, which is every host there is")
    if asked.ai_spend and not _is_mentioned(project, _GATEWAY):
        yield _finding(project, f"capabilities.ai_spend is true, and the code does not use {_GATEWAY}")


def _is_mentioned(project: Project, name: str) -> bool:
    """Whether something of this name is imported anywhere."""
    return any(full.rpartition(".")[2] == name for source in project.sources for full in source.aliases.values())


def _finding(project: Project, text: str) -> Finding:
    return Finding(text, project.shown(project.folder / MANIFEST_NAME))


RULES = (
    Rule(
        id="capabilities.declared",
        tier="silver",
        title="The manifest asks for every secret, service and call out that the code uses",
        why="The kernel refuses what the manifest doesn't ask for: the code would fail when it comes to it.",
        fix="Add it to [capabilities] in plugin.toml.",
        needs="files",
        check=_declared,
    ),
    Rule(
        id="capabilities.least",
        tier="gold",
        title="The manifest asks for nothing that the code doesn't use",
        why="An administrator who switches a plugin on agrees to what it asks for; whatever is more than it needs is"
        " there for whoever finds a hole in it.",
        fix="Remove it from [capabilities] in plugin.toml; name hosts, or the setting that holds the address"
        " (settings:<field>), instead of *.",
        needs="files",
        check=_least,
    ),
)
