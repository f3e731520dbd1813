"""The testing kit's servers, and configurations with the built-in plugins."""

from pathlib import Path

from pegboard.config.model import Config
from pegboard.testing.servers import (
    MASTER_KEY,
    POSTGRES,
    REDIS,
    TEMPLATE,
    Servers,
    config_for_tests,
    create_database,
    database_of,
    write_config,
)

__all__ = (
    "BUILT_IN",
    "MASTER_KEY",
    "POSTGRES",
    "REDIS",
    "TEMPLATE",
    "Servers",
    "create_database",
    "database_of",
    "make_config",
)

BUILT_IN = ("ai_providers", "creation_studio", "finance", "governance", "integrations")


def make_config(
    folder: Path, database_url: str, redis_url: str, *, plugins: tuple[str, ...] = BUILT_IN, **environ: str
) -> Config:
    """A configuration with the plugins on, for a database and Redis of the tests, unless there is one in `folder`."""
    path = folder / "plugins.toml"
    if not path.exists():
        write_config(path, {name: name in plugins for name in BUILT_IN}, {"finance": {"sandbox": True}})
    return config_for_tests(path, database_url, redis_url, **environ)
