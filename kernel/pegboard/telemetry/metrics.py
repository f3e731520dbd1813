"""Prometheus metrics of one process, or of all processes of a machine that share a folder."""

import os
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

__all__ = ("CONTENT_TYPE", "SHARED_FOLDER", "Metrics", "share_metrics")

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which a machine's processes share their metrics. It counts when
`prometheus_client` is imported, so it is set for processes that are yet to start.
"""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class _RouteMetrics:
    """The series of one (plugin, method, route, status), looked up once."""

    __slots__ = ("requests", "seconds")

    def __init__(self, requests: Counter, seconds: Histogram) -> None:
        self.requests = requests
        self.seconds = seconds


class Metrics:
    """The kernel's metrics. Label values come from routes and plugins, never from what a caller sends: their number is
    bounded.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "pegboard_http_requests_total",
            "Requests answered.",
            ("plugin", "method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "pegboard_http_request_duration_seconds",
            "Time from a request's arrival to its answer's last byte.",
            ("plugin", "method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.jobs = Counter(
            "pegboard_jobs_total",
            "Job runs by outcome: succeeded, retried, dead, parked, held (the plugin's breaker is open), lost.",
            ("plugin", "job", "outcome"),
            registry=self.registry,
        )
        self.job_seconds = Histogram(
            "pegboard_job_duration_seconds",
            "Time of a job run.",
            ("plugin", "job"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.outbound = Counter(
            "pegboard_outbound_requests_total",
            "Calls to other programs by outcome: 2xx, 3xx, 4xx, 5xx, failed, refused.",
            ("plugin", "outcome"),
            registry=self.registry,
        )
        self.outbound_seconds = Histogram(
            "pegboard_outbound_request_duration_seconds",
            "Time of a call to another program, to the end of its answer.",
            ("plugin",),
            buckets=(*BUCKETS, 30.0, 60.0, 120.0),
            registry=self.registry,
        )
        self.guesses = Counter(
            "pegboard_guesses_total",
            "Guesses at passwords, codes and tokens: wrong, held (the network waits), alarm (windows of suspected"
            " credential stuffing).",
            ("outcome",),
            registry=self.registry,
        )
        self.outbox_lag = Gauge(
            "pegboard_outbox_lag_seconds",
            "Age of the oldest row that waits for the relay.",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self.audit_sealed = Counter(
            "pegboard_audit_sealed_total",
            "Audit entries that were sealed into their tenant's chain.",
            registry=self.registry,
        )
        self.audit_damaged = Gauge(
            "pegboard_audit_damaged_chains",
            "Chains of audit seals that are not gone on with, since their head was changed.",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self.pool_connections = Gauge(
            "pegboard_database_pool_connections",
            "Connections of the pool.",
            ("pool", "state"),
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self.plugins = Gauge(
            "pegboard_plugins",
            "Plugins by state: enabled, disabled, failed, quarantined, blocked, held_back.",
            ("state",),
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.plugin_healthy = Gauge(
            "pegboard_plugin_healthy",
            "Whether a plugin's own health checks are well: 1, else 0.",
            ("plugin",),
            registry=self.registry,
            multiprocess_mode="livemostrecent",
        )
        self.breaker_state = Gauge(
            "pegboard_breaker_state",
            "A plugin's circuit breaker: 0 closed, 1 half open, 2 open.",
            ("plugin",),
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self.breaker_transitions = Counter(
            "pegboard_breaker_transitions_total",
            "How often a plugin's circuit breaker took on a state.",
            ("plugin", "state"),
            registry=self.registry,
        )
        self.loop_blocked = Counter(
            "pegboard_loop_blocked_seconds_total",
            "Time for which code of a plugin (or of the kernel) kept all else in its process from running.",
            ("plugin",),
            registry=self.registry,
        )
        self._routes: dict[tuple[str, str, str, int], _RouteMetrics] = {}

    def observe_request(self, plugin: str, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        key = (plugin, method, route, status)
        series = self._routes.get(key)
        if series is None:
            series = self._routes[key] = _RouteMetrics(
                self.requests.labels(plugin, method, route, str(status)),
                self.request_seconds.labels(plugin, method, route),
            )
        series.requests.inc()
        series.seconds.observe(seconds)

    def observe_job(self, plugin: str, job: str, outcome: str, seconds: float) -> None:
        """Count one run of a job."""
        self.jobs.labels(plugin, job, outcome).inc()
        self.job_seconds.labels(plugin, job).observe(seconds)

    def observe_outbound(self, plugin: str, outcome: str, seconds: float) -> None:
        """Count one call to another program."""
        self.outbound.labels(plugin, outcome).inc()
        if outcome != "refused":
            self.outbound_seconds.labels(plugin).observe(seconds)

    def observe_pools(self, pools: Iterable[tuple[str, int, int]]) -> None:
        """Set the pools' sizes from (name, connections, idle connections)."""
        for name, size, idle in pools:
            self.pool_connections.labels(name, "idle").set(idle)
            self.pool_connections.labels(name, "used").set(size - idle)

    def render(self) -> bytes:
        """The exposition text: of all processes of this machine that share a folder, else of this process."""
        folder = os.environ.get(SHARED_FOLDER)
        if folder:
            shared = CollectorRegistry()
            for file in Path(folder).glob("gauge_live*_*.db"):
                pid = int(file.stem.rpartition("_")[2])
                if not Path(f"/proc/{pid}").exists():
                    mark_process_dead(pid, folder)
            MultiProcessCollector(shared, folder)
            return generate_latest(shared)
        return generate_latest(self.registry)


def share_metrics(folder: Path) -> dict[str, str]:
    """What to tell processes that will share their metrics in `folder`: made here, or emptied of an earlier run's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for file in folder.glob("*.db"):
        file.unlink()
    return {SHARED_FOLDER: str(folder)}
