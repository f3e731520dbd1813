"""How the plugin behaves when it is used: each route is called, each job and event delivered."""

from pegboard.conformance.dynamic.access import check_permissions_enforced
from pegboard.conformance.dynamic.idempotency import check_delivered_twice
from pegboard.conformance.dynamic.loop import check_event_loop, check_routes_answer
from pegboard.conformance.dynamic.recorded import check_privileged_recorded
from pegboard.conformance.rule import Rule

__all__ = ("RULES",)

RULES = (
    Rule(
        id="permissions.enforced",
        tier="bronze",
        title="A route with a permission refuses who lacks it, and nobody changes anything without logging in",
        why="A permission that isn't asked for protects nothing.",
        fix="Grant what changes something to member or to a role of your own, never to anonymous; a route that anybody"
        " may call says public=True.",
        needs="platform",
        check=check_permissions_enforced,
        timeout=120.0,
    ),
    Rule(
        id="routes.answer",
        tier="silver",
        title="No route answers 500 to a request that fits its schema",
        why="Whoever keeps to the document must get an answer, or a problem that says what to do next.",
        fix="Raise a DomainError for what can't be done; give fields the limits that the database has.",
        needs="platform",
        check=check_routes_answer,
        timeout=120.0,
    ),
    Rule(
        id="audit.privileged",
        tier="silver",
        title="A route that changes something, and that not every member may use, leaves an entry in the audit trail",
        why="Who runs a marketplace has to be able to show who did what with the rights that others don't have.",
        fix="Call `await uow.audit(PERMISSION, object_type=…, object_id=…, before=…, after=…)` where the change is"
        " made: the entry is written in its transaction.",
        needs="platform",
        check=check_privileged_recorded,
        timeout=120.0,
    ),
    Rule(
        id="code.free_loop",
        tier="silver",
        title="No route, job, event handler, start-up or health check holds up the event loop",
        why="One event loop serves all requests of a process: while it is held up, none is answered.",
        fix="Await an async way of doing it, or hand it to `asyncio.to_thread`.",
        needs="platform",
        check=check_event_loop,
        timeout=120.0,
    ),
    Rule(
        id="jobs.twice",
        tier="silver",
        title="Jobs and event handlers that are delivered twice leave things as after the first time",
        why="Deliveries are at least once: a worker that dies after its work and before it said so is followed by"
        " another.",
        fix="Look at the row before changing it, let a unique key refuse the second, or give jobs a dedupe_key. Where"
        " made-up payloads don't fit, offer examples: see pegboard_sdk.testing.Examples.",
        needs="platform",
        check=check_delivered_twice,
        timeout=120.0,
    ),
)
