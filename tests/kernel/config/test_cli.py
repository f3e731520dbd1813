"""`pegboard config`, and how the command line tells of mistakes."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


def pegboard(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pegboard", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugins.toml").write_text('[pegboard.redis]\nurl = "redis://:7f3a@r.example"\n')
    return tmp_path


def test_version(folder: Path):
    done = pegboard("--version", cwd=folder)

    assert (done.returncode, done.stdout) == (0, "pegboard 0.1.0\n")


def test_help_says_where_the_configuration_is(folder: Path):
    shown = " ".join(pegboard("--help", cwd=folder).stdout.split())

    assert "$PEGBOARD_CONFIG, else ./plugins.toml, else the checkout's." in shown


def test_check_says_ok(folder: Path):
    done = pegboard("config", "check", cwd=folder)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{folder}/plugins.toml: ok\n", "")


def test_check_shows_every_mistake_on_a_line(folder: Path):
    path = folder / "other.toml"
    path.write_text("[pegboard.http]\nport = 'x'\nprot = 1\n")

    done = pegboard("--config", "other.toml", "config", "check", cwd=folder)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"{path}:2: pegboard.http.port: expected a whole number, got text",
        f"{path}:3: pegboard.http.prot: unknown key: did you mean port?",
    ]


def test_check_tells_programs(folder: Path):
    done = pegboard("config", "check", "--json", cwd=folder, PEGBOARD_HTTP__PORT="x")

    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "ok": False,
        "path": str(folder / "plugins.toml"),
        "errors": [
            {
                "file": "environment",
                "line": None,
                "key": "PEGBOARD_HTTP__PORT",
                "reason": "expected a whole number, got text",
            }
        ],
    }


def test_check_knows_the_settings_of_plugins(folder: Path):
    path = folder / "plugins.toml"
    path.write_text("[plugins.finance]\nenabled = true\nplatform_fee_bps = -1\n[plugins.finanze]\nenabled = true\n")

    done = pegboard("config", "check", cwd=folder, PEGBOARD_FINANCE__SANDBOKS="true")

    assert done.returncode == 2
    first, second, third = done.stderr.splitlines()
    assert first == f"{path}:3: plugins.finance.platform_fee_bps: expected a whole number >= 0"
    assert second == f"{path}:4: plugins.finanze: no installed package offers this plugin"
    assert third.startswith("environment: PEGBOARD_FINANCE__SANDBOKS: unknown setting: did you mean sandbox?")


def test_no_mistake_hides_another(folder: Path):
    path = folder / "plugins.toml"
    path.write_text(
        "[pegboard.http]\nport = 'x'\n[pegboard.secrets]\nmaster_key = 'short'\n"
        "[plugins.governance]\n[plugins.finance]\nenabled = true\nplatform_fee_bps = -1\n"
    )

    done = pegboard("config", "check", cwd=folder)

    assert done.returncode == 2
    assert [line.removeprefix(f"{path}:").partition(": ")[0] for line in done.stderr.splitlines()] == [
        "2",
        "4",
        "5",
        "8",
    ]


def test_show_is_a_configuration_without_secrets(folder: Path):
    done = pegboard("config", "show", cwd=folder, PEGBOARD_HTTP__PORT="9000", PEGBOARD_PLUGINS__FINANCE__ENABLED="true")

    shown = tomllib.loads(done.stdout)
    assert done.returncode == 0
    assert shown["pegboard"]["http"]["port"] == 9000
    assert shown["pegboard"]["redis"]["url"] == "(hidden)"
    assert shown["pegboard"]["database"]["url"] == ""
    assert shown["plugins"]["finance"]["platform_fee_bps"] == 1000
    assert "7f3a" not in done.stdout
    assert json.loads(pegboard("config", "show", "--json", cwd=folder).stdout)["pegboard"]["http"]["port"] == 8000


def test_a_broken_configuration_is_one_line_and_status_2(folder: Path):
    (folder / "plugins.toml").write_text("[pegboard.http]\nport = 'x'\nprot = 1\n")

    done = pegboard("config", "show", cwd=folder)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"pegboard: {folder}/plugins.toml:2: pegboard.http.port: expected a whole number, got text "
        "(and 1 more: see `pegboard config check`)\n"
    )


def test_init_writes_a_configuration_once(tmp_path: Path):
    first = pegboard("config", "init", cwd=tmp_path)
    again = pegboard("config", "init", cwd=tmp_path)

    assert (first.returncode, first.stdout) == (0, "plugins.toml: written\n")
    assert pegboard("config", "check", cwd=tmp_path).returncode == 0
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert again.stderr.startswith("pegboard: plugins.toml is there already")


def test_init_where_nothing_can_be_written_is_one_line(tmp_path: Path):
    done = pegboard("config", "init", "missing/plugins.toml", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (
        2,
        "pegboard: missing/plugins.toml can't be written: No such file or directory\n",
    )


@pytest.mark.parametrize("there", [True, False])
def test_an_unknown_command_is_named(folder: Path, there: bool):
    if not there:
        (folder / "plugins.toml").unlink()

    done = pegboard("confg", cwd=folder, PEGBOARD_CONFIG="plugins.toml")

    assert done.returncode == 2
    assert "No such command 'confg'" in done.stderr
    assert "Traceback" not in done.stderr
