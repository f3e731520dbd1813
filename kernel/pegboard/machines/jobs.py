"""Machines' background work."""

from typing import TYPE_CHECKING, cast

import msgspec
from pegboard_sdk.jobs import Job, Schedule

from pegboard.database.tenants import DEFAULT_TENANT
from pegboard.identity.key_rotation import SigningKeyService
from pegboard.machines.repository import CredentialRepository

if TYPE_CHECKING:
    from pegboard_sdk.work import UnitOfWork

    from pegboard.work import Work

__all__ = (
    "DELETE_USED_ASSERTIONS",
    "JOBS",
    "ROTATE_SIGNING_KEYS",
    "SCHEDULES",
    "DeleteUsedAssertions",
    "RotateSigningKeys",
)

BATCH = 5_000


class DeleteUsedAssertions(msgspec.Struct, frozen=True):
    """Nothing to say: it works on the tenant."""


async def delete_used_assertions(uow: "UnitOfWork", payload: DeleteUsedAssertions) -> None:
    """Remove a batch of clients' assertions that have expired, and come again while there are more."""
    if await CredentialRepository(uow).delete_used_assertions(limit=BATCH) == BATCH:
        await uow.enqueue(DELETE_USED_ASSERTIONS, payload)


DELETE_USED_ASSERTIONS = Job(
    name="kernel.delete_used_assertions", payload=DeleteUsedAssertions, run=delete_used_assertions
)


class RotateSigningKeys(msgspec.Struct, frozen=True):
    """Nothing to say: whether it is time, `auth.signing_key_days` and the keys tell."""


async def rotate_signing_keys(uow: "UnitOfWork", payload: RotateSigningKeys) -> None:
    """Replace the key that signs access tokens where it is old enough. It is the platform's, so one tenant's job
    sees to it.
    """
    work = cast("Work", uow)
    days = work.runtime.config.auth.signing_key_days
    if days and work.tenant_id == DEFAULT_TENANT:
        service = SigningKeyService(work.runtime)
        await service.rotate_if_due(days, actor=work.principal, request_id=work.request_id)


ROTATE_SIGNING_KEYS = Job(name="kernel.rotate_signing_keys", payload=RotateSigningKeys, run=rotate_signing_keys)

JOBS = (DELETE_USED_ASSERTIONS, ROTATE_SIGNING_KEYS)
SCHEDULES = (
    Schedule(
        name="kernel.rotate_signing_keys", cron="11 2 * * *", job=ROTATE_SIGNING_KEYS, payload=RotateSigningKeys()
    ),
    Schedule(
        name="kernel.delete_used_assertions",
        cron="41 * * * *",
        job=DELETE_USED_ASSERTIONS,
        payload=DeleteUsedAssertions(),
    ),
)
