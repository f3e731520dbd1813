"""Migration files: where an app's are, and reading them."""

import importlib.util
import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from pegboard.paths import migrations_root

if TYPE_CHECKING:
    from piccolo.apps.migrations.auto.migration_manager import MigrationManager

__all__ = (
    "HOW",
    "KERNEL",
    "App",
    "Migration",
    "MigrationError",
    "in_order",
    "kind_of",
    "load_migrations",
    "migrations_folder",
)

KERNEL = "kernel"
FILE_NAME = re.compile(r"^[a-z][a-z0-9_]*_[0-9]{4}_[0-9]{2}_[0-9]{2}_[0-9]{4,}$")


class App(Protocol):
    """What is needed of a `pegboard_sdk.database.PiccoloApp`."""

    @property
    def name(self) -> str: ...
    @property
    def migrations(self) -> str: ...


HOW = (
    "`async def forwards(): return sql_migration(app=…, id=ID, description=DESCRIPTION,"
    ' forwards=("CREATE TABLE …",), backwards=("DROP TABLE …",))`'
)
"""What a migration file has to hold, for errors."""


def kind_of(value: object) -> str:
    """What somebody wrote, in words."""
    if inspect.isfunction(value):
        return "a function that is not async"
    return "a text" if isinstance(value, str) else f"a {type(value).__name__}"


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One migration file. `forwards` makes its Piccolo migration manager."""

    app: str
    id: str
    description: str
    file: Path
    forwards: "Callable[[], Awaitable[MigrationManager | None]]"


class MigrationError(Exception):
    """An app's migrations can't be read, or one failed; `reason` says what to mend."""

    def __init__(self, app: str, reason: str) -> None:
        super().__init__(f"{app}: {reason}")
        self.app = app
        self.reason = reason


def in_order(apps: Sequence[App]) -> list[tuple[str, str]]:
    """Name and migrations of each app: the kernel first, the others as they come, which is in dependency order."""
    rest = [(app.name, app.migrations) for app in apps if app.name != KERNEL]
    return [(KERNEL, ""), *rest]


def migrations_folder(app: str, migrations: str) -> Path:
    """The folder of an app's migration files: `package:folder`, or `<app>` beside the built-in ones.

    The package is looked up without running it.

    Raises:
        MigrationError: there is no such package or folder.
    """
    if not migrations:
        folder = migrations_root() / app
        if not folder.is_dir():
            raise MigrationError(app, f"it names no migrations, and there are none in {folder}")
        return folder
    package, separator, inside = migrations.partition(":")
    if not separator or "." in package or not inside:
        raise MigrationError(app, f"its migrations must be named as package:folder, not {migrations!r}")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MigrationError(app, f"the package {package} of its migrations is not installed")
    folder = Path(next(iter(spec.submodule_search_locations))) / inside
    if not folder.is_dir():
        raise MigrationError(app, f"its migrations' folder {folder} does not exist")
    return folder


def load_migrations(app: str, migrations: str = "") -> list[Migration]:
    """An app's migrations in the order of their ids.

    Piccolo imports such files by bare name from `sys.path`, where two apps' files of one name shadow each other. Here
    each is loaded from its path, under a name of its own, and kept out of `sys.modules`.

    Raises:
        MigrationError: a file can't be run, is misnamed, or its ID is missing or used twice.
    """
    found: dict[str, Migration] = {}
    for file in sorted(migrations_folder(app, migrations).glob("*.py")):
        if file.stem == "__init__":
            continue
        if not FILE_NAME.match(file.stem) or not file.stem.startswith(f"{app}_"):
            raise MigrationError(app, f"the file {file.name} must be named {app}_YYYY_MM_DD_NNNN.py")
        migration = _load(app, file)
        if migration.id in found:
            raise MigrationError(
                app, f"{file.name} and {found[migration.id].file.name} have the same ID {migration.id}"
            )
        found[migration.id] = migration
    return [migration for _, migration in sorted(found.items())]


def _load(app: str, file: Path) -> Migration:
    spec = importlib.util.spec_from_file_location(f"pegboard_migrations.{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # somebody else's code: whatever it raises is this app's failure
        raise MigrationError(app, f"{file.name} can't be imported: {error!r}") from error
    number, forwards = getattr(module, "ID", None), getattr(module, "forwards", None)
    if not isinstance(number, str):
        raise MigrationError(
            app, f'{file.name} has no ID: write ID = "2026-11-24T00:01:00:000000", the time of writing'
        )
    if not inspect.iscoroutinefunction(forwards):
        what = "has no forwards" if forwards is None else f"has forwards as {kind_of(forwards)}"
        raise MigrationError(app, f"{file.name} {what}: write {HOW}")
    description = str(getattr(module, "DESCRIPTION", ""))
    return Migration(app=app, id=number, description=description, file=file, forwards=forwards)
