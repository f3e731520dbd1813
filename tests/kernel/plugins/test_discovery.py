"""Looking for plugins in a process in which others import at the same time."""

import sys

import pytest
from pegboard.plugins.discovery import discover

from tests.support.workshop import Workshop


class Importing:
    """What an import in another thread does to importlib, which then asks this finder, too."""

    def __init__(self, times: int) -> None:
        self.left = times

    def find_spec(self, *_: object) -> None:
        return None

    def invalidate_caches(self) -> None:
        if self.left:
            self.left -= 1
            raise RuntimeError("dictionary changed size during iteration")


def test_an_import_meanwhile_is_no_failure(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.add("hello")
    importing = Importing(times=3)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, importing])

    assert "hello" in discover().candidates
    assert importing.left == 0
