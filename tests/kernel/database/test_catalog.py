"""All migrations, forwards, back and forwards again, on each claimed major, from the checkout and from the wheel."""

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import asyncpg
import pytest
from pegboard.database.catalog import Catalog, read_catalog
from pegboard.database.migrate import migrate, migrate_backwards
from pegboard.paths import migrations_root, project_root
from pegboard_sdk.database import PiccoloApp


def built_in() -> list[PiccoloApp]:
    """The apps whose migrations are in the checkout, the kernel aside."""
    names = sorted(folder.name for folder in migrations_root().iterdir() if any(folder.glob("*.py")))
    return [PiccoloApp(name=name, tables=()) for name in names if name != "kernel"]


async def catalog_of(url: str) -> Catalog:
    connection = await asyncpg.connect(url)
    try:
        return await read_catalog(connection)
    finally:
        await connection.close()


async def test_forwards_back_and_forwards_again_is_where_it_was(url: str):
    apps = built_in()
    await migrate(url, ())
    await migrate_backwards(url, "kernel")
    empty = await catalog_of(url)

    report = await migrate(url, apps)
    assert report.failed == {}
    full = await catalog_of(url)
    for app in (*reversed(apps), "kernel"):
        await migrate_backwards(url, app)
    assert empty.differences(await catalog_of(url)) == []
    assert len((await migrate(url, apps)).applied) == len(report.applied)
    assert full.differences(await catalog_of(url)) == []


async def test_each_migration_can_be_undone_by_itself(url: str):
    """Undone down to any point and run again, the catalog is the same: a release can be taken back."""
    apps = built_in()
    await migrate(url, apps)
    full = await catalog_of(url)
    for app in apps:
        applied = [one.id for one in await migrate_backwards(url, app)]
        assert applied == sorted(applied, reverse=True)
        for stays in applied[1:]:
            await migrate(url, apps)
            await migrate_backwards(url, app, stays)
        await migrate(url, apps)
        assert full.differences(await catalog_of(url)) == [], app.name


FROM_THE_WHEEL = """
import asyncio, json, sys
import pegboard
from pegboard.database.migrate import migrate
from pegboard.paths import migrations_root
from pegboard_sdk.database import PiccoloApp

apps = [PiccoloApp(name=name, tables=()) for name in json.loads(sys.argv[2])]
report = asyncio.run(migrate(sys.argv[1], apps))
print(json.dumps([pegboard.__file__, str(migrations_root()), dict(report.failed)]))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an unpacked wheel, built from this checkout."""
    root = project_root()
    if root is None:
        pytest.skip("there is no checkout to build a wheel from")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder / "site-packages")
    return folder / "site-packages"


async def test_the_wheel_makes_the_same_catalog(url: str, wheel: Path, tmp_path: Path):
    apps = built_in()
    # -S keeps the checkout's editable install out; dependencies come from its site-packages all the same.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", FROM_THE_WHEEL, url, json.dumps([app.name for app in apps])),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(wheel), sysconfig.get_path("purelib")])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    code, migrations, failed = json.loads(output.splitlines()[-1])
    assert Path(code).is_relative_to(wheel)
    assert Path(migrations) == wheel / "pegboard" / "_migrations"
    assert failed == {}
    theirs = await catalog_of(url)
    assert (await migrate(url, apps)).applied == []
    for app in (*reversed(apps), "kernel"):
        await migrate_backwards(url, app)
    await migrate(url, apps)
    assert theirs.differences(await catalog_of(url)) == []
