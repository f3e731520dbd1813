"""Secrets come from references and never show themselves."""

import os
from pathlib import Path

import pytest
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config


def load(folder: Path, reference: str, **environ: str) -> Config:
    path = folder / "plugins.toml"
    path.write_text(f'[pegboard.redis]\nurl = "{reference}"\n')
    return load_config(path, environ)


def test_a_secret_may_be_written_out(tmp_path: Path):
    assert load(tmp_path, "redis://r.example/0").redis.url.reveal() == "redis://r.example/0"


def test_env_names_a_variable(tmp_path: Path):
    assert load(tmp_path, "env:REDIS", REDIS="redis://r.example").redis.url.reveal() == "redis://r.example"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_file_names_a_file_beside_the_configuration(tmp_path: Path, ending: str):
    (tmp_path / "redis").write_bytes(f"redis://r.example{ending}".encode())

    assert load(tmp_path, "file:redis").redis.url.reveal() == "redis://r.example"
    assert load(tmp_path, f"file:{tmp_path}/redis").redis.url.reveal() == "redis://r.example"


def test_a_variable_may_refer_too(tmp_path: Path):
    (tmp_path / "redis").write_text("redis://r.example")

    assert load(tmp_path, "", PEGBOARD_REDIS__URL="file:redis").redis.url.reveal() == "redis://r.example"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("env:NOWHERE", "the environment variable NOWHERE is not set"),
        ("file:nowhere", "nowhere can't be read: No such file or directory"),
        ("file:.", "can't be read: Is a directory"),
        ("file:binary", "binary is not UTF-8 text"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_mistake(tmp_path: Path, reference: str, reason: str):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, reference)

    assert (caught.value.line, caught.value.key) == (2, "pegboard.redis.url")
    assert caught.value.reason.endswith(reason)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_mistake(tmp_path: Path):
    (tmp_path / "redis").write_text("x")
    (tmp_path / "redis").chmod(0)

    with pytest.raises(ConfigError, match="Permission denied"):
        load(tmp_path, "file:redis")


def test_a_secret_is_shown_by_nothing(tmp_path: Path):
    config = load(
        tmp_path,
        "redis://:hidden-7f3a@r.example",
        PEGBOARD_PLUGINS__HELLO__ENABLED="true",
        PEGBOARD_HELLO__KEY="hidden-7f3a",
    )

    assert config.plugins["hello"].environment
    assert "7f3a" not in repr(config)
    assert "7f3a" not in str(config)
