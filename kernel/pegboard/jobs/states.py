"""The states of a job, and the ways between them.

queued ──relay──▶ sent ──claim──▶ running ──▶ succeeded
  ▲                 │               │ │
  │◀──lost by Redis─┘               │ └─────▶ dead      the last attempt failed; a redrive queues it again
  │◀──failed, rescued, shut down────┘
  └──▶ parked                                           no enabled plugin has the job, or its tenant is suspended;
                                                        queued again once that has changed
"""

from typing import Literal, get_args

__all__ = ("STATES", "JobState")

JobState = Literal["queued", "sent", "running", "parked", "succeeded", "dead"]
STATES: tuple[JobState, ...] = get_args(JobState)
