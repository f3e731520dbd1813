"""What a plugin's privileged routes leave in the audit trail."""

from collections.abc import Sequence

from pegboard.conformance.dynamic.exercise import Endpoint
from pegboard.conformance.subject import Subject

__all__ = ("check_privileged_recorded",)

_RECORDED = """
SELECT DISTINCT request_id FROM kernel_audit_entries
WHERE request_id = ANY ($1) AND outcome = 'success' AND action NOT LIKE 'kernel:%'
"""


async def check_privileged_recorded(subject: Subject) -> list[str]:
    """A route that changes something, and that not every member may use, leaves an entry: at one of the times that it
    was used with success, since doing a thing again may change nothing.
    """
    done = await subject.exercised()
    everybody = subject.kernel.registry.permissions_of(frozenset({"anonymous", "member"}))
    used: dict[str, tuple[Endpoint, list[str]]] = {}
    for endpoint, request_id in done.changes:
        if endpoint.route.permission is not None and endpoint.route.permission not in everybody:
            used.setdefault(str(endpoint), (endpoint, []))[1].append(request_id)
    recorded = await _recorded(subject, [request_id for _, ids in used.values() for request_id in ids])
    return [
        f"{endpoint} needs {endpoint.route.permission}, and leaves nothing in the audit trail"
        for endpoint, ids in used.values()
        if not recorded.intersection(ids)
    ]


async def _recorded(subject: Subject, request_ids: Sequence[str]) -> set[str]:
    async with subject.kernel.runtime.database.system_reader() as connection:
        return {row["request_id"] for row in await connection.fetch(_RECORDED, request_ids)}
