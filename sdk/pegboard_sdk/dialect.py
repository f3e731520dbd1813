"""What Piccolo needs to know in order to write SQL for a table, and nothing that could run it."""

from typing import Any, NoReturn

from piccolo.engine.base import Engine

__all__ = ("PostgresDialect",)


class PostgresDialect(Engine[Any]):
    """An engine without a connection: queries are compiled for PostgreSQL, and only a unit of work runs them.

    Without it Piccolo looks for a module `piccolo_conf` and connects by itself, past row-level security's tenant.
    """

    def __init__(self) -> None:
        # Engine's own would ask a server for its version.
        self.engine_type = "postgres"
        self.min_version_number = 15
        self.log_queries = False
        self.log_responses = False
        self.query_id = 0

    @staticmethod
    def _refuse() -> NoReturn:
        raise RuntimeError("a plugin has no connection of its own: run the query with uow.run(query)")

    async def get_version(self) -> float:
        """Refused: see `run_querystring`."""
        self._refuse()

    def get_version_sync(self) -> float:
        """Refused: see `run_querystring`."""
        self._refuse()

    async def prep_database(self) -> None:
        """Refused: see `run_querystring`."""
        self._refuse()

    async def batch(self, query: Any, batch_size: int = 100, node: str | None = None) -> Any:
        """Refused: see `run_querystring`."""
        self._refuse()

    async def run_querystring(self, querystring: Any, in_pool: bool = True) -> Any:
        """Refused: queries run in a unit of work.

        Raises:
            RuntimeError: always.
        """
        self._refuse()

    async def run_ddl(self, ddl: str, in_pool: bool = True) -> Any:
        """Refused: tables are made by migrations."""
        self._refuse()

    def transaction(self) -> Any:
        """Refused: the kernel begins and commits."""
        self._refuse()

    def atomic(self) -> Any:
        """Refused: the kernel begins and commits."""
        self._refuse()
