"""Writes a project: all of it, or nothing."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from pegboard_sdk.manifest import MANIFEST_NAME

from pegboard.config.errors import ConfigError
from pegboard.plugins.manifest import read_manifest
from pegboard.scaffold.render import render
from pegboard.scaffold.request import ScaffoldError, ScaffoldRequest, check

__all__ = ("write_project",)


def write_project(request: ScaffoldRequest, target: Path, now: datetime | None = None) -> list[str]:
    """Make the project in the folder `target`, which must not exist or be empty; its parents are made. Gives the paths
    of its files. It is written beside and moved there whole.

    Raises:
        ScaffoldError: the request can't be met, or the folder is in use.
    """
    check(request)
    target = target.absolute()
    _require_free(target)
    rendered = render(request, now or datetime.now(UTC))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
            project = Path(scratch) / "project"
            for path, text in rendered.items():
                file = project / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            _require_sound(project, request)
            project.rename(target)
    except OSError as error:
        raise ScaffoldError(f"{target} can't be written: {error.strerror or error}") from error
    return sorted(rendered)


def _require_free(target: Path) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise ScaffoldError(f"{target} is there and is no folder: choose another with --path")
    if next(target.iterdir(), None) is not None:
        raise ScaffoldError(f"{target} is not empty: choose another folder with --path")
    if target.samefile(Path.cwd()):
        raise ScaffoldError(f"{target} is replaced by the project, and you are in it: go to its parent folder first")


def _require_sound(project: Path, request: ScaffoldRequest) -> None:
    """The manifest's rules hold, such as that the name is not one of the kernel's own."""
    manifest = project / request.package / MANIFEST_NAME
    try:
        read_manifest(manifest, name=request.name, package=request.package)
    except ConfigError as error:
        raise ScaffoldError("; ".join(one.reason for one in (error, *error.others))) from error
