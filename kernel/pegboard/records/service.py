"""Says what references to records mean, also once the record, or its plugin, is gone."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pegboard_sdk.records import RecordState, RecordView
from pegboard_sdk.services import Records, Service

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("SERVICES", "RecordService")

_DESCRIBE = "SELECT reference, plugin, label, found FROM kernel_describe_records($1)"
_PREFERENCE = ("missing", "tombstone", "deleted", "row")
"""What counts where several are found: a plugin that was purged and is back may have both a row and a tombstone."""


class RecordService:
    """`pegboard_sdk.services.Records`; it keeps nothing between calls."""

    async def describe(self, uow: "Work", references: Sequence[str]) -> Mapping[str, RecordView]:
        """A view of each reference in the tenant; what nobody knows anything of is `unavailable`, without a label."""
        described = {one: RecordView(reference=one, label=None, state="unavailable") for one in references}
        if not described:
            return described
        enabled = {plugin.name for plugin in uow.registry.plugins}
        rows = await uow.fetch(_DESCRIBE, list(described))
        for row in sorted(rows, key=lambda row: _PREFERENCE.index(row["found"])):
            described[row["reference"]] = RecordView(
                reference=row["reference"], label=row["label"], state=_state(row["found"], row["plugin"] in enabled)
            )
        return described


def _state(found: str, enabled: bool) -> RecordState:
    if found == "tombstone":
        return "tombstone"
    if found == "row":
        return "live" if enabled else "unavailable"
    return "deleted"


SERVICES = (Service(Records, RecordService()),)
