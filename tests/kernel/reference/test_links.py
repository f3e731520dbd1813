"""What the documentation points at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
KERNEL_FILE = re.compile(r"`((?:[a-z_]+/)*[a-z_]+(?:\.py|/))(?::[\w.]+)?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(KERNEL_FILE.findall(text))
    assert {"web/entry.py", "jobs/lease.py", "telemetry/"} <= named
    folders = [
        ROOT,
        ROOT / "kernel" / "pegboard",
        *(ROOT / "kernel" / "pegboard").iterdir(),
        ROOT / "sdk" / "pegboard_sdk",
    ]
    for name in named:
        assert any((folder / name).exists() for folder in folders), name


def test_every_decision_is_in_the_index_and_complete() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    records = sorted(folder.glob("[0-9]*.md"))
    assert len({record.name[:4] for record in records}) == len(records)
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {record.name[:4]}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], record.name
        assert f"[{record.name[:4]}]({record.name})" in index
