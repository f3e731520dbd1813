"""What a running platform lends to commands beside it."""

import subprocess
import sys
from pathlib import Path

import pytest
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.supervisor.errors import StartError
from pegboard.supervisor.runfile import RunFile, attach, remove_runfile, write_runfile
from pegboard.supervisor.var import VarFolder

RUN = RunFile(pid=1, url="http://127.0.0.1:8000", database_url="postgresql://a@/b", redis_url="unix:///c", processes={})

MINE = "5c" * 32


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration that leaves its servers to `pegboard up`."""
    (tmp_path / "plugins.toml").write_text("")
    return load_config(tmp_path / "plugins.toml", {})


def test_commands_get_what_a_running_platform_has(config: Config) -> None:
    var = VarFolder(Path(config.var))
    key = var.master_key().read_text().strip()
    write_runfile(var.path, RUN)
    attached = attach(config)
    assert attached.database.url.reveal() == RUN.database_url
    assert attached.redis.url.reveal() == RUN.redis_url
    assert attached.secrets.master_key.reveal() == key
    assert (var.path / "run.json").stat().st_mode & 0o777 == 0o600
    var.release()


def test_what_is_configured_is_kept(tmp_path: Path, config: Config) -> None:
    environ = {"PEGBOARD_DATABASE__URL": "postgresql://mine@/db", "PEGBOARD_SECRETS__MASTER_KEY": MINE}
    own = load_config(tmp_path / "plugins.toml", environ)
    var = VarFolder(Path(config.var))
    var.master_key()
    write_runfile(var.path, RUN)
    attached = attach(own)
    assert attached.database.url.reveal() == "postgresql://mine@/db"
    assert attached.redis.url.reveal() == RUN.redis_url
    assert attached.secrets.master_key.reveal() == MINE
    var.release()


def test_the_file_of_a_platform_that_is_gone_is_not_believed(config: Config) -> None:
    assert attach(config) == config
    var = VarFolder(Path(config.var))
    write_runfile(var.path, RUN)
    var.release()
    assert attach(config) == config
    remove_runfile(var.path)


def test_a_file_that_cannot_be_read_is_named(config: Config) -> None:
    var = VarFolder(Path(config.var))
    (var.path / "run.json").write_text("{")
    with pytest.raises(ConfigError, match=r"run\.json: can't be read"):
        attach(config)
    var.release()


def test_a_data_folder_has_one_platform(config: Config, tmp_path: Path) -> None:
    var = VarFolder(Path(config.var))
    code = "from pathlib import Path; from pegboard.supervisor.var import VarFolder; VarFolder(Path({!r}))"
    other = subprocess.run([sys.executable, "-c", code.format(config.var)], capture_output=True, text=True, check=False)
    assert "already runs Pegboard" in other.stderr
    var.release()
    VarFolder(Path(config.var)).release()
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="can't write to the data folder"):
        VarFolder(tmp_path / "file")


def test_the_master_key_is_made_once(config: Config) -> None:
    var = VarFolder(Path(config.var))
    path = var.master_key()
    key = path.read_bytes()
    assert var.master_key().read_bytes() == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    var.release()
