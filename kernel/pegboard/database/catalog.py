"""What PostgreSQL says about the schema `public`, as lines of text that can be compared and read."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

__all__ = ("Catalog", "read_catalog")

# Objects that belong to extensions (deptype e) are theirs.
_QUERIES: Mapping[str, str] = {
    "table": """
        SELECT format('%s kind=%s owner=%s persistence=%s rls=%s forced=%s options=%s', c.oid::regclass, c.relkind,
                      c.relowner::regrole, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions)
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
        AND c.oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
    """,
    "column": """
        SELECT format('%s.%s #%s %s%s%s%s%s', a.attrelid::regclass, a.attname,
                      row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum),
                      format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' END,
                      ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ' GENERATED ' || nullif(a.attgenerated::text, ''),
                      ' IDENTITY ' || nullif(a.attidentity::text, ''))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND a.attnum > 0 AND NOT a.attisdropped
    """,
    # Since 18 NOT NULL is a constraint too; it is among the columns already.
    "constraint": """
        SELECT format('%s.%s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    """,
    "index": """
        SELECT format('%s%s', pg_get_indexdef(i.indexrelid), CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace
    """,
    "policy": """
        SELECT format('%s.%s %s %s to %s using %s check %s', polrelid::regclass, polname, polcmd, polpermissive,
                      ARRAY(SELECT r::regrole::text FROM unnest(polroles) r ORDER BY 1),
                      pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
        FROM pg_policy
    """,
    "trigger": """
        SELECT format('%s enabled=%s', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    """,
    "function": """
        SELECT format('%s owner=%s %s', p.oid::regprocedure, p.proowner::regrole, pg_get_functiondef(p.oid))
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
        AND p.oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
    """,
    "grant": """
        SELECT format('%s %s to %s', object, g.privilege_type,
                      CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END)
        FROM (
            SELECT c.oid::regclass::text AS object, coalesce(c.relacl, acldefault('r', c.relowner)) AS acl,
                   c.relowner AS owner
            FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            UNION ALL
            SELECT c.oid::regclass::text, coalesce(c.relacl, acldefault('s', c.relowner)), c.relowner
            FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
            UNION ALL
            SELECT format('%s.%s', a.attrelid::regclass, a.attname), a.attacl, c.relowner
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE c.relnamespace = 'public'::regnamespace AND a.attacl IS NOT NULL AND NOT a.attisdropped
            UNION ALL
            SELECT p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner
            FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
            AND p.oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
        ) objects, aclexplode(acl) g WHERE g.grantee <> owner
    """,
    "default grant": """
        SELECT format('%s in %s: %s', defaclobjtype, coalesce(n.nspname, 'any schema'), d.defaclacl)
        FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    """,
    "type": """
        SELECT format('%s %s %s', t.oid::regtype, t.typtype,
                      ARRAY(SELECT enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY enumsortorder))
        FROM pg_type t WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd', 'r')
        AND t.oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
    """,
    "statistics": """
        SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxnamespace = 'public'::regnamespace
    """,
    "extension": "SELECT extname FROM pg_extension",
}


class Catalog(msgspec.Struct, frozen=True):
    """Lines by kind of object (`table`, `column`, `policy`, …), sorted."""

    lines: Mapping[str, Sequence[str]]

    def differences(self, other: "Catalog") -> list[str]:
        """What is only here (`-`) and only in `other` (`+`), one line each."""
        found: list[str] = []
        for kind in self.lines:
            ours, theirs = set(self.lines[kind]), set(other.lines[kind])
            found += [f"- {kind} {line}" for line in sorted(ours - theirs)]
            found += [f"+ {kind} {line}" for line in sorted(theirs - ours)]
        return found


async def read_catalog(connection: Any) -> Catalog:
    """The catalog as `connection` (asyncpg) sees it. The order of a table's columns counts, object ids don't."""
    lines: dict[str, Sequence[str]] = {}
    async with connection.transaction():
        # Definitions name schemas where the search path doesn't find them.
        await connection.execute("SET LOCAL search_path = public")
        for kind, query in _QUERIES.items():
            lines[kind] = sorted(row[0] for row in await connection.fetch(query))
    return Catalog(lines)
