"""Plugins made up for a test: real packages with real distribution metadata, in a folder of the test's own."""

import importlib.metadata
import itertools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pegboard.config.model import Config, PluginEntry
from pegboard.plugins.manager import load_plugins
from pegboard.plugins.registry import Registry

__all__ = ("Workshop",)

_serial = itertools.count()


class Workshop:
    """A folder on `sys.path` in which plugins are installed.

    Packages have names of their own, so that tests don't meet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages: dict[str, str] = {}

    def add(
        self,
        name: str,
        code: str = "",
        *,
        version: str = "1.0.0",
        sdk: str = ">=1,<2",
        requires: Mapping[str, str] | None = None,
        after: Mapping[str, str] | None = None,
        permissions: Mapping[str, str] | None = None,
        events: Mapping[str, str] | None = None,
        tables: list[str] | None = None,
        settings: str = "",
        manifest: str | None = None,
        distribution: str | None = None,
        files: Mapping[str, str] | None = None,
    ) -> str:
        """Install a plugin whose module `plugin` holds `code`; gives its package.

        `manifest` replaces the whole manifest's text.
        """
        package = f"made_up_{next(_serial)}_{name}"
        self.packages[name] = package
        folder = self.folder / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "plugin.py").write_text(code.replace("PACKAGE", package))
        for file, text in (files or {}).items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text.replace("PACKAGE", package))
        if manifest is None:
            keys = {"name": name, "summary": f"The plugin {name}.", "version": version, "sdk": sdk}
            if settings:
                keys["settings"] = settings.replace("PACKAGE", package)
            tables_of = {"requires": requires, "after": after, "permissions": permissions, "events": events}
            manifest = "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            for table, values in tables_of.items():
                if values:
                    manifest += f"\n[{table}]\n"
                    manifest += "".join(f"{json.dumps(key)} = {json.dumps(value)}\n" for key, value in values.items())
            if tables:
                manifest += f"\n[capabilities]\ntables = {json.dumps(tables)}\n"
        (folder / "plugin.toml").write_text(manifest)
        self.announce(name, f"{package}.plugin", distribution=distribution or package)
        return package

    def announce(self, name: str, module: str, *, distribution: str, version: str = "1.0.0") -> None:
        """Write the metadata of an installed distribution with one entry point."""
        info = self.folder / f"{distribution}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[pegboard.plugins]\n{name} = {module}\n")

    def distributions(self) -> list[importlib.metadata.Distribution]:
        """What is installed here."""
        return list(importlib.metadata.distributions(path=[str(self.folder)]))

    def load(
        self,
        *enabled: str,
        strict: bool = False,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        disabled: tuple[str, ...] = (),
        **options: Any,
    ) -> Registry:
        """Load with the named plugins (all that were added, if none is named) on."""
        names = enabled or tuple(self.packages)
        entries = {
            name: PluginEntry(name=name, enabled=name not in disabled, settings=dict((settings or {}).get(name, {})))
            for name in (*names, *disabled)
        }
        config = Config(strict=strict, plugins=entries)
        return load_plugins(config, distributions=self.distributions(), **options)

    def imported(self, name: str) -> bool:
        """Whether any code of the plugin was imported."""
        package = self.packages[name]
        return any(module == package or module.startswith(f"{package}.") for module in sys.modules)
