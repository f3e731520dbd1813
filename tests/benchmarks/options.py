"""What a benchmark is given."""

import asyncio
import os
from pathlib import Path
from typing import Self

import msgspec
from pegboard.config.model import Config

from tests.support.servers import BUILT_IN, MASTER_KEY, POSTGRES, REDIS, TEMPLATE, create_database, make_config

__all__ = ("Options",)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """`postgres_url` is a superuser's of a durable server, `redis_url` a Valkey with its log on, `folder` for files,
    `pairs` how many to run.
    """

    folder: Path
    postgres_url: str
    redis_url: str
    master_key: str
    pairs: int

    @classmethod
    def from_environment(cls, folder: Path, *, pairs: int) -> Self:
        """The options of one benchmark, whose files go into `folder`."""
        folder.mkdir(parents=True)
        return cls(
            folder=folder,
            postgres_url=os.environ[POSTGRES],
            redis_url=os.environ[REDIS],
            master_key=os.environ[MASTER_KEY],
            pairs=pairs,
        )

    def database(self, name: str, *, template: str = TEMPLATE) -> str:
        """A fresh migrated database with all built-in plugins, or a copy of another; gives the superuser's URL."""
        return asyncio.run(create_database(self.postgres_url, name, template=template))

    def config(self, database_url: str, **environ: str) -> Config:
        """A configuration for that database, all built-in plugins on, rates out of the way."""
        return make_config(self.folder, database_url, self.redis_url, plugins=BUILT_IN, **environ)

    def environment(self, database_url: str, **environ: str) -> dict[str, str]:
        """The same for a command of ours that is started."""
        self.config(database_url)
        return {
            **os.environ,
            "PEGBOARD_CONFIG": str(self.folder / "plugins.toml"),
            "PEGBOARD_DATABASE__URL": database_url,
            "PEGBOARD_REDIS__URL": self.redis_url,
            "PEGBOARD_SECRETS__MASTER_KEY": self.master_key,
            "PEGBOARD_HTTP__RATE_PER_IP": "100000000",
            "PEGBOARD_HTTP__RATE_PER_PRINCIPAL": "100000000",
            "PEGBOARD_LOG__FORMAT": "json",
            **environ,
        }
