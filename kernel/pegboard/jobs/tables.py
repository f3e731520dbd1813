"""The tables of jobs and events, as Piccolo sees them; their queries are SQL, in the modules that own them."""

from piccolo.columns import JSONB, UUID, BigInt, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "KernelEvent", "KernelJob", "KernelLease", "KernelSchedule")


class KernelEvent(Table, tablename="kernel_events"):
    """The outbox: an event waits here until the relay has made a job of it for each handler."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    name = Text(null=False, default=None)
    version = Integer(null=False, default=None)
    payload = JSONB(null=False, default=None)
    trace = Text(null=True, default=None)
    request_id = Text(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    relayed_at = Timestamptz(null=True, default=None)


class KernelJob(Table, tablename="kernel_jobs"):
    """A job, or an event's delivery to one handler. The row is the truth; what Redis holds is a hint."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    plugin = Text(null=False, default=None)
    name = Text(null=False, default=None)
    payload = JSONB(null=False, default=None)
    event_id = UUID(null=True, default=None)
    dedupe_key = Text(null=True, default=None)
    state = Text(null=False, default="queued")
    attempts = Integer(null=False, default=0)
    max_attempts = Integer(null=False, default=None)
    fence = BigInt(null=False, default=0)
    run_at = Timestamptz(null=False, default=TimestamptzNow())
    sent_at = Timestamptz(null=True, default=None)
    started_at = Timestamptz(null=True, default=None)
    heartbeat_at = Timestamptz(null=True, default=None)
    finished_at = Timestamptz(null=True, default=None)
    worker = Text(null=True, default=None)
    result = JSONB(null=True, default=None)
    error = Text(null=True, default=None)
    trace = Text(null=True, default=None)
    request_id = Text(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelSchedule(Table, tablename="kernel_schedules"):
    """When a schedule fires next; its job and payload are in the registry."""

    name = Text(primary_key=True, default=None)
    plugin = Text(null=False, default=None)
    cron = Text(null=False, default=None)
    timezone = Text(null=False, default=None)
    next_at = Timestamptz(null=False, default=None)
    last_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelLease(Table, tablename="kernel_leases"):
    """Who may do what only one process at a time does, and until when."""

    name = Text(primary_key=True, default=None)
    holder = Text(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)


TABLES: tuple[type[Table], ...] = (KernelEvent, KernelJob, KernelSchedule, KernelLease)
