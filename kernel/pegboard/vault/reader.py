"""Reading a secret in a unit of work."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from pegboard_sdk.settings import Secret

from pegboard.vault.store import secret_row

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import Work

__all__ = ("find_secret", "read_secret")

# Row-level security leaves the tenant's rows and the platform's; the tenant's comes first.
_SELECT = """
SELECT tenant_id, envelope FROM kernel_secrets WHERE name = $1 ORDER BY tenant_id NULLS LAST LIMIT 1
"""


async def read_secret(work: "Work", name: str) -> Secret | None:
    """The secret `name` of the work's tenant, else the platform's, else None. Not cached: a change counts at once.

    Raises:
        VaultError: it is there and can't be opened.
    """
    return _opened(work.runtime, await work.fetchrow(_SELECT, name), name)


async def find_secret(runtime: "Runtime", tenant_id: UUID, name: str) -> Secret | None:
    """As `read_secret`, where there is no unit of work to read in.

    Raises:
        VaultError: it is there and can't be opened.
    """
    async with runtime.database.reader(tenant_id) as connection:
        row = await connection.fetchrow(_SELECT, name)
    return _opened(runtime, row, name)


def _opened(runtime: "Runtime", row: Any, name: str) -> Secret | None:
    if row is None:
        return None
    return Secret(runtime.vault.decrypt(row["envelope"], associated_data=secret_row(row["tenant_id"], name)).decode())
