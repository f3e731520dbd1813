"""The checks of `make check` catch what they are for."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tests" / "tools"
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("see /home/" + "ada/notes.txt", "a path of one machine"),
        ("/root/" + ".bashrc", "a path of one machine"),
        ("url = 'https://files." + "pythonhosted.org/x'", "a download address"),
        ("--index" + "-url https://mirror.example/simple", "a download address"),
        ("<<<<<" + "<< HEAD", "a merge conflict"),
    ],
)
def test_the_tree_check_refuses(tmp_path: Path, text: str, what: str):
    (tmp_path / "a.txt").write_text(f"fine\n{text}\n")

    done = run(sys.executable, TOOLS / "check_tree.py", "a.txt", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, f"a.txt:2: holds {what}\n")


def test_the_tree_check_lets_ordinary_text_through(tmp_path: Path):
    (tmp_path / "a.txt").write_text("GET /api/v1/work/home, ~/work/x, https://market.example/home/gigs and /var/lib\n")

    assert run(sys.executable, TOOLS / "check_tree.py", "a.txt", "gone.txt", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "key = 'AKIA" + "Q3EGRD7ZXKJ4HTLM'",
        "token = 'ghp_" + "ab" * 18 + "'",
        "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEA1mBx0QyfLhX8",
        "password = 'Xk93" + "fjq02hunter'",
    ],
)
def test_the_secret_scan_catches_a_planted_secret(tmp_path: Path, text: str):
    (tmp_path / "planted.py").write_text(f"{text}\n")

    done = run(Path(sys.executable).parent / "detect-secrets-hook", "--no-verify", "planted.py", cwd=tmp_path)

    assert done.returncode == 1
    assert "planted.py:" in done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the lock check reads."""
    (tmp_path / "tests" / "tools").mkdir(parents=True)
    for path in (*ROOT.glob("requirements*.lock"), ROOT / "pyproject.toml", TOOLS / "check_locks.py"):
        shutil.copyfile(path, tmp_path / path.relative_to(ROOT))
    return tmp_path


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("pyproject.toml", replaced('"asyncpg>=0.30"', '"asyncpg>=99"'), "wants asyncpg>=99, and "),
        (
            "pyproject.toml",
            replaced('"asyncpg>=0.30"', '"asyncpg>=0.30", "leftpad"'),
            "leftpad of pyproject.toml is missing",
        ),
        ("pyproject.toml", replaced('  "cronsim>=2.6",\n', ""), "requirements.lock: nothing needs cronsim"),
        ("requirements.lock", replaced("msgspec==", "msgspec==0.20.0 #"), "msgspec"),
        ("requirements.lock", lambda text: text + "zope==1.0\n", "requirements.lock: zope has no hash"),
        ("requirements-dev.lock", lambda text: text + "-e .\n", "not a locked requirement: -e ."),
    ],
)
def test_the_lock_check_refuses(checkout: Path, name: str, change: Callable[[str], str], complaint: str):
    path = checkout / name
    path.write_text(change(path.read_text()))

    done = run(sys.executable, checkout / "tests" / "tools" / "check_locks.py")

    assert done.returncode == 1
    assert complaint in done.stdout


def test_import_contracts_cover_every_package_without_exemption():
    packages = {path.parent.name for path in ROOT.glob("plugins/*/*/__init__.py")}
    contracts = {contract["id"]: contract for contract in LINTER["contracts"]}

    assert set(LINTER["root_packages"]) == packages | {"pegboard", "pegboard_sdk"}
    assert set(contracts["plugins"]["source_modules"]) == packages
    assert set(contracts["plugin-independence"]["modules"]) == packages
    assert set(contracts["kernel"]["forbidden_modules"]) == packages
    assert set(contracts["sdk"]["forbidden_modules"]) == packages | {"pegboard"}
    assert not any("ignore_imports" in contract for contract in LINTER["contracts"])
    assert not any("ignore_imports" in settings for settings in (LINTER, *contracts.values()))
