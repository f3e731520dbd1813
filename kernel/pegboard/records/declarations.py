"""What plugins say of their records and references, kept in the database: it has to be known while their code is off,
and when it is gone.
"""

from typing import Any

from pegboard.plugins.registry import LoadedPlugin, Registry

__all__ = ("sync_declarations",)

_ADD_TYPES = """
INSERT INTO kernel_record_types AS known (name, plugin, relation, key, label, deleted)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (name) DO UPDATE SET plugin = excluded.plugin, relation = excluded.relation, key = excluded.key,
    label = excluded.label, deleted = excluded.deleted, updated_at = now()
WHERE (known.plugin, known.relation, known.key, known.label, known.deleted)
    IS DISTINCT FROM (excluded.plugin, excluded.relation, excluded.key, excluded.label, excluded.deleted)
"""

_ADD_COLUMNS = """
INSERT INTO kernel_reference_columns AS known (relation, attribute, plugin, record_type) VALUES ($1, $2, $3, $4)
ON CONFLICT (relation, attribute) DO UPDATE
    SET plugin = excluded.plugin, record_type = excluded.record_type, updated_at = now()
WHERE (known.plugin, known.record_type) <> (excluded.plugin, excluded.record_type)
"""

_DROP_TYPES = "DELETE FROM kernel_record_types WHERE plugin = $1 AND name <> ALL ($2::text[])"

_DROP_COLUMNS = """
DELETE FROM kernel_reference_columns WHERE plugin = $1 AND relation || '.' || attribute <> ALL ($2::text[])
"""


async def sync_declarations(connection: Any, registry: Registry) -> None:
    """Make the record what the registry's plugins declare, over a *system* connection in a transaction.

    Plugins that are off keep theirs. Without a difference no row is written.
    """
    for plugin in registry.plugins:
        await _sync(connection, plugin)


async def _sync(connection: Any, plugin: LoadedPlugin) -> None:
    types, columns = plugin.record_types, plugin.reference_columns
    await connection.execute(_DROP_TYPES, plugin.name, [one.name for one in types])
    await connection.execute(_DROP_COLUMNS, plugin.name, [f"{one.table}.{one.column}" for one in columns])
    if types:
        await connection.executemany(
            _ADD_TYPES, [(one.name, plugin.name, one.table, one.key, one.label, one.deleted) for one in types]
        )
    if columns:
        await connection.executemany(
            _ADD_COLUMNS, [(one.table, one.column, plugin.name, one.record_type or "") for one in columns]
        )
