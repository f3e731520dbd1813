"""Marketplaces on one platform know nothing of each other."""

from pegboard.conformance.dynamic.tenancy import (
    check_everything_tried,
    check_tables_keep_tenants_apart,
    check_tenancy_rules,
    check_tenants_meet_nowhere,
)
from pegboard.conformance.rule import Rule
from pegboard.conformance.rules.stored import has_tables

__all__ = ("RULES",)

_WHY = "Many marketplaces share a platform, and each trusts it with its customers' data."

RULES = (
    Rule(
        id="tenancy.protected",
        tier="bronze",
        title="Row-level security is forced on every table, and its keys include tenant_id",
        why="The database keeps marketplaces apart even where a query forgets to.",
        fix='Put protect_table("<table>") into the migration that makes the table; primary and foreign keys and unique'
        " indexes of tenant tables begin with tenant_id.",
        needs="platform",
        check=check_tenancy_rules,
        applies=has_tables,
    ),
    Rule(
        id="tenancy.rows",
        tier="bronze",
        title="A row of one marketplace is neither seen, changed nor removed from another",
        why=_WHY,
        fix="Use protect_table, and no policy of your own that opens a table wider.",
        needs="platform",
        check=check_tables_keep_tenants_apart,
        applies=has_tables,
        timeout=120.0,
    ),
    Rule(
        id="tenancy.all_tried",
        tier="gold",
        title="Every table has a row to look at, and every route a request to try",
        why="What the kit can't try, it can't vouch for: that marketplaces are kept apart there is only hoped.",
        fix="Make such a row, and offer such a body, in a module conformance of the package: see"
        " pegboard_sdk.testing.Examples.",
        needs="platform",
        check=check_everything_tried,
        timeout=120.0,
    ),
    Rule(
        id="tenancy.routes",
        tier="bronze",
        title="No route shows or changes another marketplace's rows, even to an administrator who knows their ids",
        why=_WHY,
        fix="Query in the unit of work, and have a SECURITY DEFINER function keep to kernel_current_tenant().",
        needs="platform",
        check=check_tenants_meet_nowhere,
        timeout=120.0,
    ),
)
