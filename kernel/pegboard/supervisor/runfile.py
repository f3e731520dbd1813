"""`var/run.json`: where a running platform's servers are, so that commands in another terminal find them."""

import os
from pathlib import Path

import msgspec
from pegboard_sdk.settings import Secret

from pegboard.config.errors import ConfigError
from pegboard.config.model import Config
from pegboard.supervisor.var import is_running, master_key_file

__all__ = ("RunFile", "attach", "remove_runfile", "runfile_path", "write_runfile")


class RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """What runs. The URLs hold passwords, so the file is its owner's alone. `processes` are ids by name."""

    pid: int
    url: str
    database_url: str
    redis_url: str
    safe_mode: bool = False
    processes: dict[str, int] = {}


def runfile_path(var: Path) -> Path:
    """The file, in a data folder."""
    return var / "run.json"


def write_runfile(var: Path, run: RunFile) -> None:
    """Write the file in one go: whoever reads it sees all of the old or all of the new.

    Raises:
        OSError: the folder can't be written to.
    """
    scratch = var / "run.json.new"
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(run)) + b"\n")
    scratch.replace(runfile_path(var))


def remove_runfile(var: Path) -> None:
    """Remove the file, if it is there."""
    runfile_path(var).unlink(missing_ok=True)


def attach(config: Config) -> Config:
    """`config` with what it leaves to `pegboard up` filled in from the platform that runs on its data folder.

    A configuration that names its servers, or whose platform isn't running, comes back with no more than the master
    key.

    Raises:
        ConfigError: a platform runs there, and its file can't be read by this user.
    """
    var = Path(config.var)
    if not config.secrets.master_key:
        config = _with_master_key(config, var)
    if (config.database.url and config.redis.url) or not _running(config):
        return config
    path = runfile_path(var)
    try:
        run = msgspec.json.decode(path.read_bytes(), type=RunFile)
    except FileNotFoundError:
        return config  # it is starting or stopping
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(
            f"can't be read ({error}): run this as the user who runs the platform", file=str(path)
        ) from error
    replace = msgspec.structs.replace
    if not config.database.url:
        config = replace(config, database=replace(config.database, url=Secret(run.database_url)))
    if not config.redis.url:
        config = replace(config, redis=replace(config.redis, url=Secret(run.redis_url)))
    return replace(config, safe_mode=run.safe_mode)


def _running(config: Config) -> bool:
    try:
        return is_running(config)
    except OSError as error:
        reason = f"can't be looked into ({error.strerror}): run this as the user who runs the platform"
        raise ConfigError(reason, file=str(error.filename or config.var)) from error


def _with_master_key(config: Config, var: Path) -> Config:
    path = master_key_file(var)
    try:
        key = path.read_text().strip()
    except FileNotFoundError:
        return config
    except OSError as error:
        reason = f"can't be read ({error.strerror}): run this as the user who runs the platform"
        raise ConfigError(reason, file=str(path)) from error
    return msgspec.structs.replace(config, secrets=msgspec.structs.replace(config.secrets, master_key=Secret(key)))
