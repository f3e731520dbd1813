"""The kernel's own tables as Piccolo tables: those of this package, and all of them together."""

from pegboard_sdk.database import PiccoloApp
from piccolo.columns import UUID, BigInt, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

from pegboard.identity.tables import TransactionId

__all__ = ("TABLES", "KernelTenant", "kernel_app")


class KernelTenant(Table, tablename="kernel_tenants"):
    """A marketplace. Row-level security shows each its own row."""

    id = UUID(primary_key=True, default=None)
    slug = Text(null=False, default=None, unique=True)
    name = Text(null=False, default=None)
    status = Text(null=False, default="active")
    status_reason = Text(null=False, default="")
    version = BigInt(null=False, default=1)
    changed_xid = TransactionId(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (KernelTenant,)


def kernel_app() -> PiccoloApp:
    """The tables of all areas of the kernel; no process needs them to serve, so they are imported here."""
    from pegboard.audit import tables as audit
    from pegboard.authorization import tables as authorization
    from pegboard.factors import tables as factors
    from pegboard.identity import tables as identity
    from pegboard.isolation import tables as isolation
    from pegboard.jobs import tables as jobs
    from pegboard.machines import tables as machines
    from pegboard.maintenance import tables as maintenance
    from pegboard.plugins import tables as plugins
    from pegboard.plugins.removal import tables as removal
    from pegboard.records import tables as records
    from pegboard.sso import tables as sso
    from pegboard.taxonomies import tables as taxonomies
    from pegboard.tenancy import tables as tenancy
    from pegboard.vault import tables as vault
    from pegboard.web import tables as web

    areas = (
        identity,
        authorization,
        audit,
        factors,
        vault,
        isolation,
        jobs,
        machines,
        maintenance,
        plugins,
        removal,
        records,
        sso,
        taxonomies,
        tenancy,
        web,
    )
    return PiccoloApp(name="kernel", tables=(*TABLES, *(table for area in areas for table in area.TABLES)))
