"""What the job administration refuses."""

from uuid import UUID

from pegboard_sdk.errors import Conflict, NotFound

__all__ = ("JobHeld", "JobNotDead", "JobNotFound")


class JobNotFound(NotFound):
    """There is no job with this id (any more): jobs that succeeded are deleted after some days."""

    code = "jobs.not_found"

    def __init__(self, job_id: UUID) -> None:
        super().__init__(f"There is no job {job_id}.")


class JobNotDead(Conflict):
    """Only a dead letter can be run again."""

    code = "jobs.not_dead"

    def __init__(self, state: str) -> None:
        super().__init__(f"The job is {state}: only a dead one can be run again.")


class JobHeld(Conflict):
    """Another unfinished job holds the dead one's dedupe key."""

    code = "jobs.dedupe_key_held"

    def __init__(self) -> None:
        super().__init__("A newer job with the same dedupe key is still to be run: wait until it has finished.")
