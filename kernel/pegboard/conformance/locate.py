"""Finds the plugin that is to be judged: a checkout, a wheel's file, or what is installed. It imports nothing of it."""

import importlib.metadata
import importlib.util
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pegboard_sdk.hookspecs import PROJECT

from pegboard.conformance.project import Metadata, Project
from pegboard.paths import migrations_root
from pegboard.plugins.discovery import GROUP

__all__ = ("NotAPluginError", "locate")

_PROJECT_FILE = "pyproject.toml"
_ELSEWHERE = frozenset({"tests", "build", "dist", "node_modules", "site-packages", "__pycache__"})
_DEPTH = 3


class NotAPluginError(Exception):
    """There is no plugin; the text says what to name instead."""


def locate(target: str, scratch: Path) -> Project:
    """The plugin that `target` names: the path of a checkout or wheel, or else the name of an installed plugin. What
    has to be written to import it goes into `scratch`.

    Raises:
        NotAPluginError: there is none.
    """
    path = Path(target)
    if target.isidentifier():
        installed = _installed(target, scratch)
        if installed is not None:
            return installed
    if path.is_dir():
        return _checkout(path.resolve(), scratch)
    if path.suffix == ".whl" and path.is_file():
        return _wheel(path.resolve(), scratch)
    raise NotAPluginError(
        f"{target} is neither the name of an installed plugin (`pegboard plugins list` shows them), nor a folder, nor a"
        " wheel's file"
    )


def _installed(name: str, scratch: Path) -> Project | None:
    for distribution in importlib.metadata.distributions():
        for entry_point in distribution.entry_points:
            if entry_point.group == GROUP and entry_point.name == name:
                package = entry_point.value.partition(".")[0]
                spec = importlib.util.find_spec(package)
                if spec is None or not spec.submodule_search_locations:
                    raise NotAPluginError(f"the package {package} of the plugin {name} is not installed: reinstall it")
                folder = Path(next(iter(spec.submodule_search_locations)))
                return Project(
                    kind="installed",
                    name=name,
                    module=entry_point.value,
                    root=folder.parent,
                    folder=folder,
                    metadata=_metadata(distribution),
                    migrations=_migrations(name, folder, distribution.metadata["Name"], migrations_root()),
                    scratch=scratch,
                )
    return None


def _wheel(path: Path, scratch: Path) -> Project:
    folder = scratch / "wheel"
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    except zipfile.BadZipFile as error:
        raise NotAPluginError(f"{path} is not a wheel: {error}") from error
    for distribution in importlib.metadata.distributions(path=[str(folder)]):
        for entry_point in distribution.entry_points:
            if entry_point.group == GROUP:
                package = folder / entry_point.value.partition(".")[0]
                if not package.is_dir():
                    raise NotAPluginError(f"{path} holds no package {package.name}, which its entry point names")
                return Project(
                    kind="wheel",
                    name=entry_point.name,
                    module=entry_point.value,
                    root=folder,
                    folder=package,
                    metadata=_metadata(distribution),
                    migrations=_migrations(entry_point.name, package, distribution.metadata["Name"], None),
                    scratch=scratch,
                    wheel=path,
                    search=(folder,),
                )
    raise NotAPluginError(f"{path} has no entry point of the group {GROUP}: it holds no plugin")


def _checkout(root: Path, scratch: Path) -> Project:
    for project in (root, *root.parents):
        if (project / _PROJECT_FILE).is_file():
            break
    else:
        raise NotAPluginError(f"{root} has no {_PROJECT_FILE}: name the folder of a plugin's project")
    try:
        document = tomllib.loads((project / _PROJECT_FILE).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NotAPluginError(f"{project / _PROJECT_FILE} can't be read: {error}") from error
    about = document.get("project", {})
    entry_points: Mapping[str, str] = about.get("entry-points", {}).get(GROUP, {})
    found = {name: folder for name, module in entry_points.items() if (folder := _package(root, module)) is not None}
    if not found:
        raise NotAPluginError(
            f'{project / _PROJECT_FILE} has no [project.entry-points."{GROUP}"] whose package is in {root}'
        )
    if len(found) > 1:
        raise NotAPluginError(f"{root} holds several plugins ({', '.join(sorted(found))}): name the folder of one")
    ((name, folder),) = found.items()
    metadata = _declared(about)
    _announce(scratch / "metadata", metadata, entry_points)
    return Project(
        kind="checkout",
        name=name,
        module=entry_points[name],
        root=root,
        folder=folder,
        scratch=scratch,
        project=project,
        metadata=metadata,
        migrations=_migrations(name, folder, metadata.name, project / "migrations"),
        search=(scratch / "metadata", folder.parent),
    )


def _package(root: Path, module: str) -> Path | None:
    """The folder of a module's top-level package in a checkout: at its top, in `src`, or a little deeper."""
    package = module.partition(".")[0]
    return next((folder for folder in _folders(root, _DEPTH) if folder.name == package and _is_package(folder)), None)


def _folders(root: Path, depth: int) -> Iterator[Path]:
    level = [
        path
        for path in sorted(root.iterdir())
        if path.is_dir() and path.name not in _ELSEWHERE and not path.name.startswith(".")
    ]
    yield from level
    if depth > 1:
        for folder in level:
            if not _is_package(folder):
                yield from _folders(folder, depth - 1)


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _migrations(name: str, folder: Path, distribution: str, built_in: Path | None) -> Path | None:
    """Where the migrations are: in the package; of the kernel's own plugins they are beside each other."""
    inside = folder / "migrations"
    if inside.is_dir():
        return inside
    for path in sorted(folder.rglob(f"{name}_[0-9]*.py")):
        return path.parent
    if distribution == PROJECT and built_in is not None and (built_in / name).is_dir():
        return built_in / name
    return None


def _metadata(distribution: importlib.metadata.Distribution) -> Metadata:
    about = distribution.metadata
    return Metadata(
        name=about["Name"],
        version=about["Version"] or "",
        requires=tuple(distribution.requires or ()),
        licence=next((about[name] for name in ("License-Expression", "License") if name in about), ""),
    )


def _declared(about: Mapping[str, Any]) -> Metadata:
    optional = [text for several in about.get("optional-dependencies", {}).values() for text in several]
    licence = about.get("license", "")
    return Metadata(
        name=about.get("name", "unnamed"),
        version=about.get("version", ""),
        requires=(*about.get("dependencies", ()), *optional),
        licence=licence if isinstance(licence, str) else licence.get("text") or licence.get("file") or "",
    )


def _announce(folder: Path, metadata: Metadata, entry_points: Mapping[str, str]) -> None:
    """Write the metadata that an installation would write."""
    version = metadata.version or "0"
    info = folder / f"{metadata.name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ("Metadata-Version: 2.1", f"Name: {metadata.name}", f"Version: {version}")
    lines += tuple(f"Requires-Dist: {text}" for text in metadata.requires)
    (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = f"[{GROUP}]\n" + "".join(f"{name} = {module}\n" for name, module in entry_points.items())
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
