"""A plugin as it lies there: its files, its metadata and, in a checkout, its project."""

import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pegboard_sdk.manifest import MANIFEST_NAME, Manifest

from pegboard.config.errors import ConfigError
from pegboard.conformance.source import Source
from pegboard.plugins.manifest import read_manifest

__all__ = ("Kind", "Metadata", "Project")

Kind = Literal["checkout", "wheel", "installed"]


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What is said about the distribution. `version` is empty where only a build would tell it."""

    name: str
    version: str = ""
    requires: Sequence[str] = ()
    licence: str = ""

    @property
    def dependencies(self) -> frozenset[str]:
        """The names of the distributions that it depends on, extras included, in their normal form."""
        names: set[str] = set()
        for text in self.requires:
            try:
                names.add(canonicalize_name(Requirement(text).name))
            except InvalidRequirement:
                continue  # Installers refuse it: it is not a dependency.
        return frozenset(names)


class Project:
    """The plugin `name`, found as `kind`.

    `root` is what findings' paths are relative to; `folder` the top-level package's; `project` the folder of
    `pyproject.toml` in a checkout, which is `root` or, where one project holds several plugins, above it. `search` is
    what a process that imports the plugin has on `sys.path`, before all else; rules may put things into `scratch`.
    """

    def __init__(
        self,
        *,
        kind: Kind,
        name: str,
        module: str,
        root: Path,
        folder: Path,
        metadata: Metadata,
        migrations: Path | None,
        scratch: Path,
        project: Path | None = None,
        wheel: Path | None = None,
        search: Sequence[Path] = (),
    ) -> None:
        self.kind: Kind = kind
        self.name = name
        self.module = module
        self.root = root
        self.folder = folder
        self.metadata = metadata
        self.migrations = migrations
        self.project = project
        self.wheel = wheel
        self.scratch = scratch
        self.search = tuple(search)

    def described(self) -> dict[str, Any]:
        """What another process needs to know to have the same: give it to `of`."""
        names = ("kind", "name", "module", "root", "folder", "metadata", "migrations", "scratch", "project", "wheel")
        return msgspec.to_builtins({name: getattr(self, name) for name in names}, enc_hook=str)

    @classmethod
    def of(cls, described: dict[str, Any]) -> Self:
        """The project that `described` told of."""
        paths = ("root", "folder", "migrations", "scratch", "project", "wheel")
        told = {name: Path(value) if name in paths and value else value for name, value in described.items()}
        return cls(**{**told, "metadata": msgspec.convert(described["metadata"], Metadata)})

    @property
    def package(self) -> str:
        """The top-level package."""
        return self.module.partition(".")[0]

    def shown(self, path: Path) -> str:
        """A path as findings name it."""
        for base in (self.root, self.project, self.folder.parent):
            if base is not None and path.is_relative_to(base):
                return path.relative_to(base).as_posix()
        return str(path)

    @cached_property
    def read(self) -> tuple[Manifest | None, Sequence[ConfigError]]:
        """The manifest, or what is wrong with it."""
        try:
            return read_manifest(self.folder / MANIFEST_NAME, name=self.name, package=self.package), ()
        except ConfigError as error:
            return None, error.all

    @property
    def manifest(self) -> Manifest:
        """The manifest, for rules that come after the one that judges it.

        Raises:
            ConfigError: it is wrong.
        """
        manifest, errors = self.read
        if manifest is None:
            raise errors[0]
        return manifest

    @cached_property
    def sources(self) -> list[Source]:
        """The package's modules, without migrations.

        Raises:
            SyntaxError: one isn't Python.
        """
        return [self._source(path) for path in self.modules if not self._is_migration(path)]

    @property
    def modules(self) -> list[Path]:
        """All Python files of the package."""
        return sorted(path for path in self.folder.rglob("*.py") if "__pycache__" not in path.parts)

    @cached_property
    def migration_sources(self) -> list[Source]:
        """The migrations' files.

        Raises:
            SyntaxError: one isn't Python.
        """
        files = sorted(self.migrations.glob("*.py")) if self.migrations is not None else []
        return [Source(path, self.shown(path), path.stem) for path in files if path.name != "__init__.py"]

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        """`pyproject.toml` of a checkout."""
        if self.project is None:
            return {}
        return tomllib.loads((self.project / "pyproject.toml").read_text(encoding="utf-8"))

    @property
    def builds_alone(self) -> bool:
        """Whether the project is this plugin's alone."""
        return self.project == self.root

    def document(self, *names: str) -> Path | None:
        """A file of the checkout by one of its usual names, of the plugin's folder or else of the project's."""
        for base in (self.root, self.project):
            for path in sorted(base.iterdir()) if base is not None else ():
                if path.is_file() and path.name.lower().partition(".")[0] in names:
                    return path
        return None

    @cached_property
    def readme(self) -> str:
        """The text of the plugin's own README; empty where there is none."""
        for path in sorted(self.root.iterdir()):
            if path.is_file() and path.name.lower().partition(".")[0] == "readme":
                return path.read_text(encoding="utf-8")
        return ""

    def tests(self) -> Iterator[Path]:
        """The files of tests of a checkout."""
        folders = [self.root / "tests"]
        if not self.builds_alone and self.project is not None:
            folders.append(self.project / "tests" / "plugins" / self.name)
        for folder in folders:
            yield from sorted({*folder.rglob("test_*.py"), *folder.rglob("*_test.py")})

    def _source(self, path: Path) -> Source:
        parts = path.relative_to(self.folder.parent).with_suffix("").parts
        return Source(path, self.shown(path), ".".join(parts[:-1] if parts[-1] == "__init__" else parts))

    def _is_migration(self, path: Path) -> bool:
        return self.migrations is not None and path.is_relative_to(self.migrations)
