"""What a process of the platform has: configuration, databases, Redis, vault and the enabled plugins."""

from functools import cached_property
from typing import TYPE_CHECKING, Self

from pegboard.audit.refusals import Refusals
from pegboard.capabilities.client import HttpClient
from pegboard.capabilities.trail import Trail
from pegboard.config.model import Config
from pegboard.database.pool import Database
from pegboard.database.roles import check_roles
from pegboard.identity.authenticator import Authenticator
from pegboard.isolation.breakers import Breakers
from pegboard.jobs.notifier import Notifier
from pegboard.maintenance.watch import MaintenanceWatch
from pegboard.plugins.registry import EMPTY, Registry
from pegboard.sso.issuers import Issuers
from pegboard.telemetry.metrics import Metrics
from pegboard.telemetry.tracing import Tracing
from pegboard.vault.vault import Vault

if TYPE_CHECKING:
    import redis.asyncio

    from pegboard.web.guesses import Guesses
    from pegboard.web.ratelimit import RateLimiter

__all__ = ("Runtime",)


class Runtime:
    """One per process. `registry` is replaced as a whole, never changed."""

    def __init__(
        self,
        *,
        config: Config,
        database: Database,
        vault: Vault,
        authenticator: Authenticator,
        notifier: Notifier,
        metrics: Metrics,
    ) -> None:
        self.config = config
        self.database = database
        self.vault = vault
        self.authenticator = authenticator
        self.notifier = notifier
        self.metrics = metrics
        self.refusals = Refusals(database)
        self.trail = Trail(database)
        self.http = HttpClient(config.outbound)
        self.maintenance = MaintenanceWatch(database)
        self.issuers = Issuers()
        self.tracing = Tracing()
        self.breakers = Breakers(config.isolation, metrics)
        self._registry = EMPTY

    @cached_property
    def redis(self) -> "redis.asyncio.Redis":
        """Made when it is first asked for, connected later still: it may be down."""
        # A third of a second of imports, which commands have no use for.
        import redis.asyncio
        from redis.asyncio.retry import Retry
        from redis.backoff import ExponentialBackoff

        return redis.asyncio.from_url(
            self.config.redis.url.reveal(),
            socket_timeout=5,
            socket_connect_timeout=2,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.02), retries=2),
        )

    @cached_property
    def limiter(self) -> "RateLimiter":
        """Counts requests, together with the other processes."""
        from pegboard.web.ratelimit import RateLimiter

        return RateLimiter(self.redis)

    @cached_property
    def guesses(self) -> "Guesses":
        """Watches guesses at passwords, codes and tokens, together with the other processes."""
        from pegboard.web.guesses import Guesses

        return Guesses(self.redis, self.config.http, self.vault, self.metrics)

    @property
    def registry(self) -> Registry:
        """The active generation's. Setting it has the breakers go on with its plugins."""
        return self._registry

    @registry.setter
    def registry(self, registry: Registry) -> None:
        self._registry = registry
        self.breakers.use(registry)

    @classmethod
    async def open(cls, config: Config, *, pool_size: int | None = None, metrics: Metrics | None = None) -> Self:
        """Connect to what `config` names.

        Raises:
            OSError, asyncpg.PostgresError: the database can't be reached.
            DatabaseSetupError: row-level security would not bind the application's role.
            ValueError: the master key is missing or malformed.
        """
        vault = Vault.from_config(config)
        database = await Database.open(config, pool_size=pool_size)
        try:
            await check_roles(database)
        except BaseException:
            await database.close()
            raise
        return cls(
            config=config,
            database=database,
            vault=vault,
            authenticator=Authenticator(config, database, vault),
            notifier=Notifier(database),
            metrics=metrics or Metrics(),
        )

    async def start(self) -> None:
        """Begin the background work that every process does: following revocations and maintenance."""
        # Now rather than amid the first request.
        _ = self.limiter
        await self.authenticator.start()
        await self.maintenance.start()

    async def close(self) -> None:
        """End the background work and close what is open."""
        made = vars(self)
        if "limiter" in made:
            await self.limiter.stop()
        await self.maintenance.stop()
        await self.notifier.close()
        await self.authenticator.stop()
        self.refusals.close()
        await self.http.close()
        await self.trail.close()
        if "redis" in made:
            await self.redis.aclose()
        await self.database.close()
