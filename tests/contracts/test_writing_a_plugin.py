"""`docs/writing-a-plugin.md` prints the plugin that the tests install, and nothing else."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests" / "contracts" / "thirdparty"
PRINTED = re.compile(r"\*\*`(?P<path>[^`]+)`\*\*\n\n```[a-z]+\n(?P<text>.*?)```\n", re.DOTALL)


def test_each_file_is_printed_as_it_is() -> None:
    page = (ROOT / "docs" / "writing-a-plugin.md").read_text()
    printed = {match["path"]: match["text"] for match in PRINTED.finditer(page)}
    files = {
        path.relative_to(PROJECT).as_posix(): path.read_text()
        for path in PROJECT.rglob("*")
        if path.suffix in (".py", ".toml") and path.name != "__init__.py"
    }

    assert printed.keys() == files.keys()
    for path, text in files.items():
        assert printed[path] == text, f"{path} differs from what docs/writing-a-plugin.md prints"


def test_nothing_needs_an_import_that_the_sdk_spares() -> None:
    page = (ROOT / "docs" / "writing-a-plugin.md").read_text()

    assert "from litestar" not in page
    assert "(reference/hooks.md)" in page
