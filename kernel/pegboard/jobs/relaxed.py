"""Connections for bookkeeping that a crash of the database server may undo without harm.

Sent, claimed, beating: if the server forgets the last moments of that, a job is sent or claimed again, and the fencing
token sees to the rest. So these commits don't wait for the disk. What must survive, a job's completion and whatever it
wrote, commits through the application's pool, and that wait covers everything that was written before it.
"""

import asyncpg

from pegboard.database.pool import SYSTEM_NAME, Connection, Database

__all__ = ("open_relaxed_pool",)


async def open_relaxed_pool(database: Database, *, size: int = 3) -> asyncpg.Pool:
    """A small pool of the role *system*, for the relay, the claims and the sweeps. Its caller closes it."""
    return await asyncpg.create_pool(
        database.urls.system,
        min_size=1,
        max_size=size,
        max_inactive_connection_lifetime=0,
        connection_class=Connection,
        server_settings={
            "application_name": SYSTEM_NAME,
            "timezone": "UTC",
            "jit": "off",
            "synchronous_commit": "off",
            "statement_timeout": "30000",
            # Every query here has its index. A plan made while the table was small must not walk it once it is large.
            "enable_seqscan": "off",
            "plan_cache_mode": "force_generic_plan",
        },
    )
