"""Jobs, the event outbox, schedules and leases.

What a job costs must not grow with the table: every index that ordinary jobs enter is partial and holds unfinished rows
only, and retention walks the primary key, which is UUIDv7 and so in order of time. Rows carry no foreign key to their
tenant: each job would lock that one row.
"""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:05:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Jobs, events, schedules and leases"

EVENTS = """
CREATE TABLE kernel_events (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    payload jsonb NOT NULL,
    trace text,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    relayed_at timestamptz
)
"""

EVENTS_WAITING = "CREATE INDEX kernel_events_waiting ON kernel_events (id) WHERE relayed_at IS NULL"

JOBS = """
CREATE TABLE kernel_jobs (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    plugin text NOT NULL,
    name text NOT NULL,
    payload jsonb NOT NULL,
    event_id uuid,
    dedupe_key text,
    state text NOT NULL DEFAULT 'queued'
        CONSTRAINT kernel_jobs_state CHECK (state IN ('queued', 'sent', 'running', 'parked', 'succeeded', 'dead')),
    attempts integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL CONSTRAINT kernel_jobs_max_attempts CHECK (max_attempts > 0),
    fence bigint NOT NULL DEFAULT 0,
    run_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    started_at timestamptz,
    heartbeat_at timestamptz,
    finished_at timestamptz,
    worker text,
    result jsonb,
    error text,
    trace text,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT kernel_jobs_finished CHECK ((finished_at IS NOT NULL) = (state IN ('succeeded', 'dead')))
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0.1
)
"""

JOB_INDEXES = (
    "CREATE INDEX kernel_jobs_due ON kernel_jobs (run_at) WHERE state = 'queued'",
    "CREATE INDEX kernel_jobs_sent ON kernel_jobs (sent_at) WHERE state = 'sent'",
    "CREATE INDEX kernel_jobs_running ON kernel_jobs (id) WHERE state = 'running'",
    "CREATE INDEX kernel_jobs_parked ON kernel_jobs (name) WHERE state = 'parked'",
    "CREATE INDEX kernel_jobs_dead ON kernel_jobs (id) WHERE state = 'dead'",
    """
    CREATE UNIQUE INDEX kernel_jobs_dedupe ON kernel_jobs (tenant_id, name, dedupe_key)
    WHERE dedupe_key IS NOT NULL AND finished_at IS NULL
    """,
    # An event reaches a handler through one job row, however often the relay tries.
    "CREATE UNIQUE INDEX kernel_jobs_event ON kernel_jobs (event_id, name, tenant_id) WHERE event_id IS NOT NULL",
)

# The completion is part of the job's own transaction, which runs as the application, and is all that it may change of a
# job. A worker whose lease was taken over gets an error, so that its transaction can't commit.
COMPLETE = """
CREATE FUNCTION kernel_complete_job(job uuid, job_fence bigint, job_result jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    UPDATE kernel_jobs
       SET state = 'succeeded', finished_at = clock_timestamp(), updated_at = clock_timestamp(),
           result = job_result, error = NULL
     WHERE id = job AND fence = job_fence AND state = 'running' AND tenant_id = kernel_current_tenant();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease of job % was taken over', job USING ERRCODE = 'PB410';
    END IF;
END
$$
"""

# A step of a job that calls out: while the step's transaction is open, nobody takes the job over; once the lease is
# lost, the next step fails.
HOLD = """
CREATE FUNCTION kernel_hold_job(job uuid, job_fence bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM FROM kernel_jobs
      WHERE id = job AND fence = job_fence AND state = 'running' AND tenant_id = kernel_current_tenant()
        FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease of job % was taken over', job USING ERRCODE = 'PB410';
    END IF;
END
$$
"""

OWNERS = (
    "ALTER FUNCTION kernel_complete_job(uuid, bigint, jsonb) OWNER TO pegboard_system",
    "ALTER FUNCTION kernel_hold_job(uuid, bigint) OWNER TO pegboard_system",
)

SCHEDULES = """
CREATE TABLE kernel_schedules (
    name text PRIMARY KEY,
    plugin text NOT NULL,
    cron text NOT NULL,
    timezone text NOT NULL,
    next_at timestamptz NOT NULL,
    last_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
)
"""

LEASES = """
CREATE TABLE kernel_leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL
)
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            EVENTS,
            EVENTS_WAITING,
            protect_table("kernel_events", privileges="SELECT, INSERT"),
            JOBS,
            *JOB_INDEXES,
            protect_table("kernel_jobs", privileges="SELECT, INSERT"),
            COMPLETE,
            HOLD,
            *OWNERS,
            SCHEDULES,
            LEASES,
        ),
        backwards=(
            "DROP FUNCTION kernel_hold_job(uuid, bigint)",
            "DROP FUNCTION kernel_complete_job(uuid, bigint, jsonb)",
            "DROP TABLE kernel_leases",
            "DROP TABLE kernel_schedules",
            "DROP TABLE kernel_jobs",
            "DROP TABLE kernel_events",
        ),
    )
