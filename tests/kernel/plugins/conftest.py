"""Fixtures of the plugin tests."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from pegboard.plugins.registry import Registry

from tests.support.fleet import Fleet
from tests.support.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    """An empty workshop on `sys.path`."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    workshop = Workshop(folder)
    yield workshop
    for package in workshop.packages.values():
        for module in [module for module in sys.modules if module == package or module.startswith(f"{package}.")]:
            del sys.modules[module]


@pytest.fixture
def reasons() -> Callable[[Registry], dict[str, str]]:
    """Reads the reasons of the plugins that failed."""

    def read(registry: Registry) -> dict[str, str]:
        return {one.name: one.reason for one in registry.skipped if one.state == "failed"}

    return read


@pytest.fixture
async def fleet(postgres_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Processes of a platform of their own; none runs yet."""
    fleet = Fleet(postgres_url, redis_url, tmp_path / "config")
    await fleet.open()
    yield fleet
    await fleet.close()
