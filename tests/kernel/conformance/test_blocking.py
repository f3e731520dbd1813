"""Calls that block are found behind whatever an async function calls in its own package, and nowhere else."""

from pathlib import Path

import pytest
from pegboard.conformance.child import judge
from pegboard.conformance.locate import locate
from pegboard.conformance.rules.code import RULES

from tests.kernel.conformance.breakages import PluginCopy

NO_BLOCKING = next(rule for rule in RULES if rule.id == "code.no_blocking")
READING = """
import subprocess
import time


def read() -> str:
    return deeper()


def deeper() -> str:
    time.sleep(1)
    return ""


class Base:
    def load(self) -> None:
        subprocess.run(["true"])


class Files(Base):
    def __init__(self, waits: bool = False) -> None:
        if waits:
            time.sleep(1)


class Quiet:
    def load(self) -> None:
        "It does nothing."


class Desk:
    def __init__(self, files: Files, name: str) -> None:
        self._files = files
        self.name = name

    async def serve(self) -> None:
        self._files.load()

    def files(self) -> Files:
        return self._files


async def awaited() -> None:
    return None
"""
IMPORTS = """
import asyncio
from pegboard_hello import reading
from pegboard_hello.reading import Desk, Files, Quiet, awaited, read as take
from pegboard_hello import desks
"""


async def findings(folder: Path, code: str) -> list[str]:
    plugin = PluginCopy(folder)
    (plugin.package / "reading.py").write_text(READING)
    (plugin.package / "desks").mkdir()
    (plugin.package / "desks" / "__init__.py").write_text("from pegboard_hello.reading import read as fetch\n")
    (plugin.package / "calling.py").write_text(f"{IMPORTS}\n{code}\n")
    line = await judge(NO_BLOCKING, locate(str(plugin.root), folder / "scratch"))
    return [str(one) for one in line.findings if "Desk" not in one.text and "serve calls" not in one.text]


@pytest.mark.parametrize(
    ("body", "way"),
    [
        ("take()", "read, which calls deeper, which calls time.sleep"),
        ("reading.read()", "read, which calls deeper, which calls time.sleep"),
        ("desks.fetch()", "read, which calls deeper, which calls time.sleep"),
        ("Files().load()", "load, which calls subprocess.run"),
        ("files = Files(); files.load()", "load, which calls subprocess.run"),
        ("Files(True)", "__init__, which calls time.sleep"),
        ("desk.files().load()", "load, which calls subprocess.run"),
        ("helper()", "helper, which calls deeper, which calls time.sleep"),
    ],
)
async def test_what_blocks_is_found_behind_what_is_called(tmp_path: Path, body: str, way: str) -> None:
    code = f"def helper() -> None:\n    reading.deeper()\n\nasync def handle(desk: Desk) -> None:\n    {body}"

    found = await findings(tmp_path, code)

    assert any(f"handle calls {way}, which stops the event loop" in one for one in found), found
    assert all(one.startswith("pegboard_hello/reading.py:") for one in found)


async def test_an_attribute_s_class_is_known(tmp_path: Path) -> None:
    plugin = PluginCopy(tmp_path)
    (plugin.package / "reading.py").write_text(READING)

    line = await judge(NO_BLOCKING, locate(str(plugin.root), tmp_path / "scratch"))

    assert [one.text for one in line.findings] == [
        "serve calls load, which calls subprocess.run, which stops the event loop"
    ]


@pytest.mark.parametrize(
    "body",
    [
        "await asyncio.to_thread(take)",
        "await asyncio.get_running_loop().run_in_executor(None, take)",
        "await asyncio.to_thread(lambda: take())",
        "await awaited()",
        "Quiet().load()",
        "def inner() -> None:\n        take()\n    await asyncio.to_thread(inner)",
    ],
)
async def test_what_is_handed_to_a_thread_may_block(tmp_path: Path, body: str) -> None:
    assert await findings(tmp_path, f"async def handle() -> None:\n    {body}") == []


async def test_what_no_async_function_calls_may_block(tmp_path: Path) -> None:
    assert await findings(tmp_path, "def command() -> None:\n    take()") == []


async def test_a_function_of_the_package_may_be_called_as_one_that_blocks(tmp_path: Path) -> None:
    code = "def open(name: str) -> str:\n    return name\n\nasync def handle() -> None:\n    open('door')"

    assert await findings(tmp_path, code) == []
