"""The event loop stays free."""

from pegboard.conformance.subject import Subject

__all__ = ("check_event_loop", "check_routes_answer")


async def check_event_loop(subject: Subject) -> list[str]:
    """No route, job, event handler, start-up or health check blocks the event loop: one blocks everybody."""
    return (await subject.exercised()).blocked


async def check_routes_answer(subject: Subject) -> list[str]:
    """No route answers 500 to a request that fits its schema."""
    return (await subject.exercised()).failed
