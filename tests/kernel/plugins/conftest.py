"""Fixtures of the plugin tests."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pegboard.plugins.registry import Registry

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
