"""What the author of a plugin asks for, and whether that can be."""

import importlib.util
import keyword

import msgspec

from pegboard.plugins.discovery import discover
from pegboard.plugins.manifest import NAME

__all__ = ("LICENCES", "NAME_LENGTH", "ScaffoldError", "ScaffoldRequest", "check")

LICENCES = ("Apache-2.0", "MIT", "LicenseRef-Proprietary")
"""SPDX identifiers; their texts are in `licences/`."""

NAME_LENGTH = 32
_LINE_LENGTH = 200


class ScaffoldError(ValueError):
    """The project can't be made; the text says what to do about it."""


class ScaffoldRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin to begin: `summary` is a sentence, `licence` one of `LICENCES`."""

    name: str
    summary: str = ""
    author: str = ""
    licence: str = LICENCES[0]

    @property
    def package(self) -> str:
        """The Python package."""
        return f"pegboard_{self.name}"

    @property
    def distribution(self) -> str:
        """What `pip install` takes, and the folder's name unless another one is wanted."""
        return self.package.replace("_", "-")


def check(request: ScaffoldRequest) -> None:
    """Refuse what can't become a plugin. Names that the kernel keeps for itself are left to the check of the manifest.

    Raises:
        ScaffoldError: the name is none, or is taken here; or a text is not one line.
    """
    name = request.name
    if not NAME.match(name) or len(name) > NAME_LENGTH:
        raise ScaffoldError(
            f"{name!r} is not a plugin's name: write it in snake_case, such as order_reviews, with at most"
            f" {NAME_LENGTH} characters"
        )
    if keyword.iskeyword(name):
        raise ScaffoldError(f"{name!r} is a keyword of Python: choose another name")
    found = discover()
    if name in found.candidates or name in found.broken:
        raise ScaffoldError(f"a plugin named {name} is installed here: choose another name")
    if importlib.util.find_spec(request.package) is not None:
        raise ScaffoldError(f"there is a package {request.package} here, which is no plugin: choose another name")
    for option, text in (("--summary", request.summary), ("--author", request.author)):
        if not text.isprintable() or len(text) > _LINE_LENGTH:
            raise ScaffoldError(f"{option} must be one line of at most {_LINE_LENGTH} characters")
    if request.licence not in LICENCES:
        raise ScaffoldError(f"--licence is one of {', '.join(LICENCES)}; write another one's name and text yourself")
