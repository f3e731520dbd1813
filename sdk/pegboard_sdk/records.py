"""Records that plugins refer to across their borders (hooks `record_types` and `reference_columns`).

A reference is a text, `<plugin>.<noun>:<id>`, such as `creation_studio.order:0199…`; there is no foreign key, so that
either plugin can be turned off and uninstalled. `pegboard_sdk.services.Records` says what a reference means.
"""

from typing import Literal

import msgspec

__all__ = ("RecordState", "RecordType", "RecordView", "ReferenceColumn")

RecordState = Literal["live", "unavailable", "deleted", "tombstone"]
"""`live`: it is there. `unavailable`: its plugin is off or unknown. `deleted`: it is gone, and its plugin is there.
`tombstone`: its plugin was uninstalled and its data purged; what it was called was kept.
"""


class RecordType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of record that others may refer to.

    `name` is `<plugin>.<noun>`, the part of a reference before the colon. `table` is the plugin's table; it has a
    `tenant_id`. `key` is its column (uuid, integer or text) whose value is the part after the colon. `label` is what
    people know a record by: a column, or an SQL expression over the row, such as `coalesce(title, 'Untitled')`.
    `deleted` is a condition over the row, such as `deleted_at IS NOT NULL`, where rows of deleted records stay. Labels
    are shown to whoever may see what refers to the record, and are kept after a purge: no more personal data than that
    needs.
    """

    name: str
    table: str
    label: str
    key: str = "id"
    deleted: str = "false"


class ReferenceColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column that holds references to other plugins' records. `table` is the plugin's, with a `tenant_id`.

    A text column holds whole references. A column of bare keys (uuid, integer, or text) names the record type that they
    are keys of: `ReferenceColumn(table="loans_loans", column="book_id", record_type="shelves.book")`.
    """

    table: str
    column: str
    record_type: str | None = None


class RecordView(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a record. `label` is None where nothing is known of it but the reference."""

    reference: str
    label: str | None
    state: RecordState
