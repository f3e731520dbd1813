"""Everything is delivered at least once: the second time changes nothing."""

from pegboard_sdk.errors import DomainError

from pegboard.conformance.dynamic.exercise import deliver, deliverables, payload_for
from pegboard.conformance.dynamic.payloads import Unbuildable
from pegboard.conformance.dynamic.store import changes, snapshot
from pegboard.conformance.subject import Subject

__all__ = ("check_delivered_twice",)


async def check_delivered_twice(subject: Subject) -> list[str]:
    """Each job and event handler, delivered twice, leaves the plugin's rows and events as after the first time."""
    done = await subject.exercised()
    offer = f"offer a payload in {subject.package}/conformance.py"
    found: list[str] = []
    for told, name, struct in deliverables(subject):
        try:
            payload = payload_for(struct, done.ids, done.payloads)
        except Unbuildable as error:
            found.append(f"{told} could not be tried: nothing fits {error}; {offer}")
            continue
        error = await deliver(subject, done.tenant, name, payload)
        first = await snapshot(subject, done.tenant)
        if error is not None and not _is_refusal(error):
            found.append(f"{told} {error} for {payload.decode()}: rows may be gone by then; or {offer}")
            continue
        await deliver(subject, done.tenant, name, payload)
        twice = changes(first, await snapshot(subject, done.tenant))
        if twice:
            found.append(f"{told} changes {' and '.join(twice)} when it is delivered a second time")
    return found


def _is_refusal(error: str) -> bool:
    """Whether it was refused by a rule, which a made-up payload may well be."""
    return error.removeprefix("raised ").partition(":")[0] in _names(DomainError)


def _names(error: type[DomainError]) -> set[str]:
    return {error.__name__}.union(*(_names(one) for one in error.__subclasses__()))
