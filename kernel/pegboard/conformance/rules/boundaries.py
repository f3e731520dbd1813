"""What a plugin imports: the SDK, itself and what it declares; nothing of the kernel, nothing of other plugins."""

import ast
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping, Sequence

from packaging.utils import canonicalize_name
from pegboard_sdk.hookspecs import PROJECT

from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.conformance.source import Source
from pegboard.plugins.discovery import GROUP

__all__ = ("RULES",)

SDK = "pegboard_sdk"
CONTRACT = frozenset({SDK, "click", "litestar", "msgspec", "piccolo", "pluggy", "structlog"})
"""The SDK, and the libraries that its interfaces are made of: they come with it."""

_DRIVERS = frozenset({"aiopg", "asyncpg", "databases", "peewee", "psycopg", "psycopg2", "sqlalchemy", "sqlmodel"})
_NETWORK = frozenset(
    {
        "aiohttp",
        "ftplib",
        "grpc",
        "http.client",
        "httpcore",
        "httpx",
        "imaplib",
        "poplib",
        "redis",
        "requests",
        "smtplib",
    }
    | {"socket", "telnetlib", "urllib.request", "urllib3", "websockets"}
)
_PROCESSES = frozenset({"ctypes", "multiprocessing", "pty", "subprocess"})


def _imports(project: Project, *, migrations: bool = True) -> Iterator[tuple[str, int, str]]:
    for source in (*project.sources, *(project.migration_sources if migrations else ())):
        for line, module in source.imports():
            yield source.shown, line, module


def _kernel(project: Project) -> Iterator[Finding]:
    for file, line, module in _imports(project):
        if _top(module) == PROJECT:
            yield Finding(f"imports {module}, which is the kernel's", file, line)


def _plugins(project: Project) -> Iterator[Finding]:
    owners = _owners(project)
    for source in (*project.sources, *project.migration_sources):
        seen: set[tuple[int, str]] = set()
        for line, module in source.imports():
            top = _top(module)
            if top in owners and (line, top) not in seen:
                seen.add((line, top))
                yield Finding(f"imports {module} of the plugin {owners[top]}", source.shown, line)


def _owners(project: Project) -> dict[str, str]:
    """Packages of other plugins, with the plugins' names: all that their distributions bring, whatever they are called.

    Of a plugin that the manifest names and nobody installed here, the usual names are meant.
    """
    own = {canonicalize_name(project.metadata.name), PROJECT}
    installed = {
        top: {canonicalize_name(name) for name in names}
        for top, names in importlib.metadata.packages_distributions().items()
    }
    named = (*project.manifest.requires, *project.manifest.after)
    found = {package: name for name in named for package in (name, f"{PROJECT}_{name}") if package not in installed}
    for entry_point in importlib.metadata.entry_points(group=GROUP):
        if entry_point.name == project.name or entry_point.dist is None:
            continue
        found[_top(entry_point.value)] = entry_point.name
        distribution = canonicalize_name(entry_point.dist.name)
        if distribution not in own:
            brought = [top for top, names in installed.items() if names == {distribution}]
            found |= dict.fromkeys(brought, entry_point.name)
    spared = {project.package, PROJECT, SDK, *sys.stdlib_module_names}
    return {top: name for top, name in found.items() if top not in spared}


def _dependencies(project: Project) -> Iterator[Finding]:
    brings = importlib.metadata.packages_distributions()
    # Other plugins have a rule of their own.
    allowed = {*sys.stdlib_module_names, *CONTRACT, project.package, PROJECT, *_owners(project)}
    for file, line, module in _imports(project):
        top = _top(module)
        if top not in allowed and not _is_declared(top, project, brings):
            yield Finding(f"imports {module}, which is none of the distribution's dependencies", file, line)


def _is_declared(top: str, project: Project, brings: Mapping[str, Sequence[str]]) -> bool:
    names = {canonicalize_name(name) for name in brings.get(top, (top,))}
    return bool(names & project.metadata.dependencies) or canonicalize_name(project.metadata.name) in names


def _database(project: Project) -> Iterator[Finding]:
    for source in (*project.sources, *project.migration_sources):
        for line, module in source.imports():
            if _top(module) in _DRIVERS and not _is_caught_only(source, _top(module)):
                yield Finding(f"imports {module}: a connection of its own knows no tenant", source.shown, line)
        for line, name in source.reaches_around("uow"):
            yield Finding(f"uses {name}: reaches around the unit of work", source.shown, line)


def _is_caught_only(source: Source, driver: str) -> bool:
    """Whether a driver is there for the names of its exceptions, which a unit of work raises too."""
    used = {source.name_of(node) for node in source.nodes if isinstance(node, ast.Attribute | ast.Name)}
    names = {name for name in used if name.startswith(f"{driver}.") and name != f"{driver}.exceptions"}
    return bool(names) and all(name.endswith("Error") for name in names)


def _network(project: Project) -> Iterator[Finding]:
    yield from _banned(project, _NETWORK, "calls out past the kernel")


def _processes(project: Project) -> Iterator[Finding]:
    yield from _banned(project, _PROCESSES, "runs what the kernel can't see, bound or stop")
    for source in project.sources:
        for line, name in source.calls():
            if name in ("os.system", "os.popen", "os.fork") or name.startswith(("os.spawn", "os.exec")):
                yield Finding(f"calls {name}", source.shown, line)


def _banned(project: Project, modules: frozenset[str], why: str) -> Iterator[Finding]:
    for source in (*project.sources, *project.migration_sources):
        seen: set[tuple[int, str]] = set()
        for line, module in source.imported_names():
            hit = next((one for one in modules if module == one or module.startswith(f"{one}.")), None)
            if hit is not None and (line, hit) not in seen:
                seen.add((line, hit))
                yield Finding(f"imports {hit}: {why}", source.shown, line)


def _top(module: str) -> str:
    return module.partition(".")[0]


RULES = (
    Rule(
        id="boundaries.kernel",
        tier="bronze",
        title="It imports nothing of the kernel",
        why="Only pegboard_sdk is a promise; whatever else is imported may be gone with any release.",
        fix="Use what pegboard_sdk offers. If something is missing there, ask for it.",
        needs="files",
        check=_kernel,
    ),
    Rule(
        id="boundaries.plugins",
        tier="bronze",
        title="It imports nothing of other plugins",
        why="Either plugin must work with the other turned off, upgraded, or replaced by another one.",
        fix="Listen to the other plugin's events, or use a service protocol of pegboard_sdk.services.",
        needs="files",
        check=_plugins,
    ),
    Rule(
        id="boundaries.database",
        tier="bronze",
        title="It reaches the database through its unit of work only",
        why="The unit of work is what keeps tenants apart and what commits or rolls back everything together.",
        fix="Use uow.fetch, uow.fetchrow, uow.fetchval, uow.execute or uow.run.",
        needs="files",
        check=_database,
    ),
    Rule(
        id="boundaries.dependencies",
        tier="silver",
        title="Whatever it imports is among its distribution's dependencies",
        why="What happens to be installed here may be missing where the plugin is installed.",
        fix="Add the distribution to `dependencies` in pyproject.toml. The SDK brings "
        + ", ".join(sorted(CONTRACT - {SDK}))
        + ".",
        needs="files",
        check=_dependencies,
    ),
    Rule(
        id="boundaries.network",
        tier="silver",
        title="It calls out through the kernel only",
        why="The kernel holds calls to the hosts that the manifest names, gives them a time-out, and notes them.",
        fix="Name the hosts in capabilities.outbound_hosts and use the outbound client of the unit of work.",
        needs="files",
        check=_network,
    ),
    Rule(
        id="boundaries.processes",
        tier="silver",
        title="It starts no programs and loads no foreign code",
        why="The kernel can neither bound nor stop what runs outside of it.",
        fix="Use a library, or a service that is called over the network.",
        needs="files",
        check=_processes,
    ),
)
