"""Pieces of Markdown."""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ("cell", "code", "page", "prose", "summary", "table")

_NOTE = "<!-- Written by `pegboard docs build`. Change the code instead, then run `make docs`. -->"
_BLANKS = re.compile(r"\s+")
_SECTION = re.compile(r"^(Raises|Example|Examples):$", re.MULTILINE)


def page(title: str, introduction: str, sections: Iterable[str]) -> str:
    """A page: one top heading, an introduction, and sections that bring their own headings."""
    return "\n\n".join((f"# {title}", _NOTE, introduction.strip(), *(one.strip() for one in sections))) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are Markdown already."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(line.replace("  |", " |") for line in lines)


def cell(text: str) -> str:
    """A text as one cell of a table."""
    return _BLANKS.sub(" ", text).strip().replace("|", "\\|")


def code(text: str) -> str:
    """A piece of code within a line; empty stays empty."""
    return f"`{text}`" if text else ""


def prose(documented: Any) -> str:
    """The docstring of something, without what it raises and its examples: other parts of a page show those."""
    text = _SECTION.split(inspect.getdoc(documented) or "")[0]
    return "\n\n".join(_BLANKS.sub(" ", paragraph).strip() for paragraph in text.split("\n\n")).strip()


def summary(documented: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return prose(documented).partition("\n\n")[0]
