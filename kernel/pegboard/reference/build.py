"""Writes the reference, or says where it is stale."""

from collections.abc import Mapping
from pathlib import Path

import click

from pegboard.reference.api.versions import latest_release, records
from pegboard.reference.commands import commands_page
from pegboard.reference.events import events_page
from pegboard.reference.hooks import hooks_page
from pegboard.reference.http import http_page
from pegboard.reference.permissions import permissions_page
from pegboard.reference.quality import quality_page
from pegboard.reference.sdk import read_sdk, sdk_page
from pegboard.reference.settings import configuration_page, settings_page
from pegboard.reference.subject import read_subject

__all__ = ("make_guides", "make_pages", "stale_pages", "write_pages")


def make_pages(main: click.Command) -> dict[str, str]:
    """Every page by its file's name. `main` is the command line.

    Raises:
        ConfigError: a built-in plugin can't be loaded.
    """
    subject = read_subject()
    return {
        "cli.md": commands_page(main),
        "configuration.md": configuration_page(),
        "events.md": events_page(subject),
        "hooks.md": hooks_page(subject),
        "http.md": http_page(subject),
        "permissions.md": permissions_page(subject),
        "sdk.md": sdk_page(read_sdk(), latest_release(records())),
        "settings.md": settings_page(subject),
    }


def make_guides() -> dict[str, str]:
    """The pages beside the reference that are written from the code, by their files' names."""
    return {"plugin-quality.md": quality_page()}


def write_pages(folder: Path, pages: Mapping[str, str]) -> list[str]:
    """Write the pages that differ from what is there; gives their names.

    Raises:
        OSError: the folder can't be written to.
    """
    stale = stale_pages(folder, pages)
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (folder / name).write_text(pages[name], encoding="utf-8")
    return stale


def stale_pages(folder: Path, pages: Mapping[str, str]) -> list[str]:
    """The names of the pages that are missing in the folder, or hold something else."""
    return [name for name, text in sorted(pages.items()) if _content(folder / name) != text.encode()]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
