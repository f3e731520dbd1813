"""A plugin as it is installed, with a fault put into it: a package that stands before its own on the path."""

import importlib
import importlib.metadata
import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import tomlkit
from pegboard_sdk.manifest import MANIFEST_NAME

from pegboard.conformance.subject import Subject
from pegboard.database.migrations import migrations_folder
from pegboard.plugins.discovery import GROUP

__all__ = ("MARK", "Fault", "injected")

MARK = "a fault put in by the conformance kit"
"""What every fault says of itself."""

_serial = itertools.count()
_HEAD = """\
import asyncio
import msgspec
import {module} as original
from pegboard_sdk import Job, hookimpl
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.http import Controller, get

globals().update({{
    name: value for name, value in vars(original).items()
    if hasattr(value, "pegboard_impl") or hasattr(value, "pegboard_spec")
}})


def brought(hook, context):
    implementation = getattr(original, hook, None)
    if implementation is None:
        return ()
    return implementation(context) if implementation.__code__.co_argcount else implementation()
"""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault. `code` follows the plugin's hooks in their module and may replace them; `PACKAGE` and `NAME` are filled
    in. `before` comes before everything; `settings` is a field of the settings Struct, `migration` a last migration.
    """

    code: str = ""
    before: str = ""
    settings: str = ""
    migration: str = ""


@contextmanager
def injected(subject: Subject, fault: Fault) -> Iterator[None]:
    """Have the faulty plugin installed instead of the sound one, for who looks in the block.

    Its distribution stands before the real one of the same name, so it is the one that counts.
    """
    folder = Path(tempfile.mkdtemp(prefix="pegboard-fault-"))
    package = f"pegboard_fault_{next(_serial)}_{subject.name}"
    try:
        _write_package(subject, fault, folder / package)
        _write_distribution(subject, folder, package)
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        shutil.rmtree(folder)


def _write_package(subject: Subject, fault: Fault, package: Path) -> None:
    package.mkdir()
    (package / "__init__.py").touch()
    manifest = tomlkit.parse((subject.folder / MANIFEST_NAME).read_text())
    module, _, struct = subject.manifest.settings.partition(":")
    if fault.settings or struct:
        base = f"from {module} import {struct} as Original\n" if struct else "from msgspec import Struct as Original\n"
        rest = f"class Settings(Original, frozen=True, kw_only=True):\n    {fault.settings}\n"
        (package / "settings.py").write_text(base + (rest if fault.settings else "Settings = Original\n"))
        manifest["settings"] = f"{package.name}.settings:Settings"
    (package / MANIFEST_NAME).write_text(tomlkit.dumps(manifest))
    code = f"{fault.before}\n{_HEAD.format(module=subject.module)}\n{fault.code}"
    (package / "plugin.py").write_text(code.replace("PACKAGE", package.name).replace("NAME", subject.name))
    if fault.migration:
        app = subject.plugin.app
        migrations = package / "migrations"
        if app is not None:
            shutil.copytree(migrations_folder(app.name, app.migrations), migrations)
        else:
            migrations.mkdir()
        file = migrations / f"{subject.name}_9999_12_31_0001.py"
        file.write_text(fault.migration.replace("NAME", subject.name))


def _write_distribution(subject: Subject, folder: Path, package: str) -> None:
    distribution = importlib.metadata.distribution(subject.distribution.rpartition(" ")[0])
    name, version = distribution.metadata["Name"], distribution.version
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups: dict[str, dict[str, str]] = {}
    for entry_point in distribution.entry_points:
        groups.setdefault(entry_point.group, {})[entry_point.name] = entry_point.value
    groups[GROUP][subject.name] = f"{package}.plugin"
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in found.items())
        for group, found in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
