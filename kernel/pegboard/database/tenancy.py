"""The rules that keep tenants apart, checked against the database itself."""

from typing import Any

__all__ = ("tenancy_problems",)

# The tables that migrations made, without partitions: their parents speak for them.
_TABLES = """
    WITH tables AS (
        SELECT c.oid, c.oid::regclass::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced, c.relowner,
               t.attnum AS tenant, t.attnotnull AS tenant_required,
               has_any_column_privilege('pegboard_app', c.oid, 'SELECT, INSERT, UPDATE')
                   OR has_table_privilege('pegboard_app', c.oid, 'DELETE, TRUNCATE') AS app_may
        FROM pg_class c
        LEFT JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant_id' AND NOT t.attisdropped
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    )
"""
# Each gives sentences.
_RULES = (
    """
    SELECT name || ': belongs to ' || relowner::regrole || ', not to pegboard_owner' FROM tables
    WHERE relowner <> 'pegboard_owner'::regrole
    """,
    """
    SELECT name || ': has a tenant_id, and row-level security is not forced' FROM tables
    WHERE tenant IS NOT NULL AND NOT forced
    """,
    """
    SELECT name || ': has no tenant_id and no forced row-level security, and pegboard_app may use it' FROM tables
    WHERE tenant IS NULL AND app_may AND NOT forced
    """,
    """
    SELECT name || ': lacks the policy ' || wanted.policy FROM tables, (VALUES
        ('tenant_isolation', 'pegboard_app',
         '(tenant_id = ( SELECT kernel_current_tenant() AS kernel_current_tenant))'),
        ('system_access', 'pegboard_system', 'true')
    ) AS wanted (policy, role, condition)
    WHERE tenant IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_policy p WHERE p.polrelid = tables.oid AND p.polname = wanted.policy AND p.polcmd = '*'
        AND p.polpermissive AND p.polroles = ARRAY[wanted.role::regrole::oid]
        AND pg_get_expr(p.polqual, p.polrelid) = wanted.condition
        AND pg_get_expr(p.polwithcheck, p.polrelid) = wanted.condition)
    """,
    """
    SELECT name || ': the policy ' || p.polname || ' opens it wider than its tenant'
    FROM tables JOIN pg_policy p ON p.polrelid = tables.oid
    WHERE tenant IS NOT NULL AND p.polpermissive AND p.polname NOT IN ('tenant_isolation', 'system_access')
    AND NOT (p.polname = 'shared_rows' AND p.polcmd = 'r' AND NOT tenant_required
             AND pg_get_expr(p.polqual, p.polrelid) = '(tenant_id IS NULL)')
    """,
    # A primary key of one UUID, made by the application, tells no tenant anything of another's rows. Where tenant_id
    # may be NULL (shared rows) a composite key would not be enforced.
    """
    SELECT name || ': the unique index ' || i.indexrelid::regclass || ' does not include tenant_id'
    FROM tables JOIN pg_index i ON i.indrelid = tables.oid AND i.indisunique
    WHERE tenant_required AND NOT tenant = ANY (i.indkey::smallint[])
    AND NOT (i.indisprimary AND i.indnatts = 1 AND EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = tables.oid AND a.attnum = i.indkey[0]
        AND a.atttypid = 'uuid'::regtype))
    """,
    """
    SELECT tables.name || ': the foreign key ' || f.conname || ' does not include tenant_id'
    FROM tables JOIN pg_constraint f ON f.conrelid = tables.oid AND f.contype = 'f'
    JOIN tables other ON other.oid = f.confrelid
    WHERE tables.tenant_required AND other.tenant_required
    AND coalesce(array_position(f.conkey, tables.tenant) <> array_position(f.confkey, other.tenant), true)
    """,
    # The first two columns narrow a look-up down enough; the rest of a composite key follows from them.
    """
    SELECT name || ': the foreign key ' || f.conname || ' has no index'
    FROM tables JOIN pg_constraint f ON f.conrelid = tables.oid AND f.contype = 'f'
    WHERE NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = tables.oid AND i.indnkeyatts >= least(2, cardinality(f.conkey))
        AND (i.indkey::smallint[])[0:least(2, cardinality(f.conkey)) - 1] <@ f.conkey)
    """,
    """
    SELECT c.oid::regclass || ': a view that pegboard_app may use needs security_invoker'
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')
    AND has_table_privilege('pegboard_app', c.oid, 'SELECT')
    AND NOT coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on'], false)
    """,
    """
    SELECT p.oid::regprocedure || ': a SECURITY DEFINER function must belong to pegboard_system and fix its'
        || ' search_path with pg_temp last'
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
    AND (p.proowner <> 'pegboard_system'::regrole
         OR NOT EXISTS (SELECT FROM unnest(p.proconfig) setting WHERE setting LIKE 'search_path=%pg_temp'))
    """,
    """
    SELECT p.oid::regprocedure || ': PUBLIC may call it'
    FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
    WHERE p.pronamespace = 'public'::regnamespace AND g.grantee = 0
    AND p.oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
    """,
)


async def tenancy_problems(connection: Any) -> list[str]:
    """Where a table, view or function would let one tenant see or touch another's rows: a sentence each."""
    found: list[str] = []
    async with connection.transaction():
        await connection.execute("SET LOCAL search_path = public")
        for rule in _RULES:
            found += [row[0] for row in await connection.fetch(_TABLES + rule)]
    return sorted(found)
