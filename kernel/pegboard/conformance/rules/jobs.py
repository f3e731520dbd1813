"""Jobs and event handlers."""

from collections.abc import Iterator

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.rule import Rule

__all__ = ("RULES",)

LONGEST = 3600.0
MOST = 25


def _has_work(loaded: Loaded) -> str | None:
    has = loaded.plugin.jobs or loaded.plugin.event_handlers
    return None if has else "it has no jobs and handles no events"


def _bounded(loaded: Loaded) -> Iterator[str]:
    for job in loaded.plugin.jobs:
        if job.timeout > LONGEST:
            yield f"the job {job.name} may take {job.timeout:g} s"
        if job.max_attempts > MOST:
            yield f"the job {job.name} is attempted {job.max_attempts} times"
    for handler in loaded.plugin.event_handlers:
        if not 1 <= handler.max_attempts <= MOST:
            yield f"the handler {handler.name} of {handler.event} is attempted {handler.max_attempts} times"


def _described(loaded: Loaded) -> Iterator[str]:
    for job in loaded.plugin.jobs:
        if not (job.run.__doc__ or "").strip():
            yield f"the job {job.name}: {job.run.__qualname__} has no docstring"
    for handler in loaded.plugin.event_handlers:
        if not (handler.handle.__doc__ or "").strip():
            yield f"the handler {handler.name} of {handler.event}: {handler.handle.__qualname__} has no docstring"


def _frozen(loaded: Loaded) -> Iterator[str]:
    structs = {job.payload for job in loaded.plugin.jobs} | {handler.type for handler in loaded.plugin.event_handlers}
    for struct in sorted(structs, key=lambda one: one.__qualname__):
        if not struct.__struct_config__.frozen:
            yield f"{struct.__qualname__} is not frozen"


RULES = (
    Rule(
        id="jobs.bounded",
        tier="silver",
        title=f"Jobs take at most {LONGEST / 3600:g} hour and are attempted at most {MOST} times",
        why="A job that never ends holds a worker for itself; one that never gives up hides that it fails.",
        fix="Cut the work into smaller jobs that enqueue the next one; let what keeps failing become a dead letter.",
        needs="import",
        check=_bounded,
        applies=_has_work,
    ),
    Rule(
        id="jobs.described",
        tier="silver",
        title="Each job and event handler says what it does",
        why="Whoever looks at a dead letter has nothing else to go by.",
        fix="Write a docstring: what it does, and why doing it twice is harmless.",
        needs="import",
        check=_described,
        applies=_has_work,
    ),
    Rule(
        id="jobs.frozen",
        tier="silver",
        title="Payloads are frozen Structs",
        why="A payload is what was said at the time: each attempt gets the same.",
        fix="Write class Payload(msgspec.Struct, frozen=True), with ids and small values; read the rows when it runs.",
        needs="import",
        check=_frozen,
        applies=_has_work,
    ),
)
