"""The files of a project: templates of this package with the plugin's names filled in. Nothing is executed."""

import json
import string
from collections.abc import Iterator
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable

import pegboard_sdk
from packaging.version import Version

import pegboard
from pegboard.scaffold.request import ScaffoldRequest

__all__ = ("render",)

_SUFFIX = ".template"
_SUMMARY = "Short notes that people write for themselves, about anything on the marketplace."


class _Template(string.Template):
    """`§{name}`: neither Python nor SQL, TOML or workflows mean something by it."""

    delimiter = "§"


def render(request: ScaffoldRequest, now: datetime) -> dict[str, str]:
    """The text of each file by its path in the project; `now` is the moment that the first migration is named after."""
    names = _names(request, now)
    folder = files(__package__ or "pegboard.scaffold")
    rendered = {
        _path(path, request, now): _Template(text).substitute(names) for path, text in _templates(folder / "template")
    }
    licence = (folder / "licences" / f"{request.licence}.txt").read_text(encoding="utf-8")
    return {**rendered, "LICENSE": _Template(licence).substitute(names)}


def _templates(folder: Traversable, at: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _templates(entry, f"{at}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            yield at + entry.name.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")


def _path(path: str, request: ScaffoldRequest, now: datetime) -> str:
    if path == "gitignore":
        # By its real name it would say what git ignores here.
        return ".gitignore"
    return path.replace("NAME", request.name).replace("DATE", f"{now:%Y_%m_%d}")


def _names(request: ScaffoldRequest, now: datetime) -> dict[str, str]:
    summary = request.summary.strip() or _SUMMARY
    author = request.author.strip() or f"The authors of {request.distribution}"
    sdk, kernel = Version(pegboard_sdk.__version__), Version(pegboard.__version__)
    return {
        "plugin": request.name,
        "PLUGIN": request.name.upper(),
        "Class": "".join(word.capitalize() for word in request.name.split("_")),
        "package": request.package,
        "distribution": request.distribution,
        "summary": summary,
        "summary_toml": _toml(summary),
        "author": author,
        "author_toml": _toml(author),
        "licence": request.licence,
        "year": f"{now:%Y}",
        "migration_id": f"{now:%Y-%m-%d}T00:01:00:000000",
        "sdk_range": f">={sdk.major}.{sdk.minor},<{sdk.major + 1}",
        "kernel_range": f">={kernel.major}.{kernel.minor},<{kernel.major + 1}",
    }


def _toml(text: str) -> str:
    """A string as TOML writes it: as JSON does, for text without control characters."""
    return json.dumps(text, ensure_ascii=False)
