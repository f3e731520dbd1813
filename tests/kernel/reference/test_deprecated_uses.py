"""A plugin that uses what is deprecated is told where, and what to write instead. Nothing of the SDK is, today."""

import ast
from pathlib import Path

import pytest
from pegboard.conformance.rules.stability import uses_of_deprecated
from pegboard.conformance.source import Source
from pegboard.reference.api.model import Api
from pegboard.reference.api.read import read_module

GOING = "@deprecated(since='1.4', removal='2.0', use='Letter')\n"
MODULES = {
    "pegboard_sdk": "from pegboard_sdk.mail import Mail\n__all__ = ('Mail',)",
    "pegboard_sdk.mail": f"__all__ = ('Mail', 'Letter')\n{GOING}class Mail: ...\nclass Letter: ...",
    "pegboard_sdk.hookspecs": f"{GOING}@hookspec\ndef mails(context): ...\n@hookspec\ndef letters(context): ...",
}
API = Api(version="1.4.0", modules={name: read_module(ast.parse(text), name) for name, text in MODULES.items()})


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("from pegboard_sdk.mail import Mail", 1),
        ("\nfrom pegboard_sdk import Mail as Post", 2),
        ("from pegboard_sdk import hookimpl\n@hookimpl\ndef mails(): ...", 3),
    ],
)
def test_it_is_found(tmp_path: Path, code: str, line: int) -> None:
    (tmp_path / "own.py").write_text(code)

    (found,) = uses_of_deprecated(Source(tmp_path / "own.py", "own.py", "own"), API)

    assert (found.file, found.line) == ("own.py", line)
    assert "gone from version 2.0 of the SDK on: use Letter" in found.text


def test_what_stays_is_not(tmp_path: Path) -> None:
    code = "from pegboard_sdk import hookimpl\nfrom pegboard_sdk.mail import Letter\n"
    code += "@hookimpl\ndef letters(): ...\ndef mails(): ..."
    (tmp_path / "own.py").write_text(code)

    assert list(uses_of_deprecated(Source(tmp_path / "own.py", "own.py", "own"), API)) == []
