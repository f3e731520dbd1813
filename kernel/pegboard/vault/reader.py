"""Reading a secret in a unit of work."""

from typing import TYPE_CHECKING

from pegboard_sdk.settings import Secret

from pegboard.vault.store import secret_row

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("read_secret",)

# Row-level security leaves the tenant's rows and the platform's; the tenant's comes first.
_SELECT = """
SELECT tenant_id, envelope FROM kernel_secrets WHERE name = $1 ORDER BY tenant_id NULLS LAST LIMIT 1
"""


async def read_secret(work: "Work", name: str) -> Secret | None:
    """The secret `name` of the work's tenant, else the platform's, else None. Not cached: a change counts at once.

    Raises:
        VaultError: it is there and can't be opened.
    """
    row = await work.fetchrow(_SELECT, name)
    if row is None:
        return None
    text = work.runtime.vault.decrypt(row["envelope"], associated_data=secret_row(row["tenant_id"], name))
    return Secret(text.decode())
