"""Each check finds nothing in a good plugin, and in a careless one exactly what breaks its rule."""

import re
from collections.abc import Awaitable, Callable

import pytest
from pegboard.conformance.dynamic.access import check_permissions_enforced, check_permissions_used
from pegboard.conformance.dynamic.faults import (
    check_fault_in_hooks,
    check_fault_in_import,
    check_fault_in_job,
    check_fault_in_migration,
    check_fault_in_request,
    check_fault_in_settings,
    check_fault_in_startup,
    check_fault_slow_startup,
)
from pegboard.conformance.dynamic.idempotency import check_delivered_twice
from pegboard.conformance.dynamic.loop import check_event_loop, check_routes_answer
from pegboard.conformance.dynamic.migrations import check_drift, check_migrations
from pegboard.conformance.dynamic.recorded import check_privileged_recorded
from pegboard.conformance.dynamic.tenancy import (
    check_everything_tried,
    check_tables_keep_tenants_apart,
    check_tenancy_rules,
    check_tenants_meet_nowhere,
)
from pegboard.conformance.subject import Subject

Check = Callable[[Subject], Awaitable[list[str]]]
NOTES = "/api/v1/careless/notes"
LEANER = "leaner is taken along: "

BROKEN: dict[Check, list[str]] = {
    check_migrations: [
        "backwards leaves + function careless_one()",
        "backwards leaves + grant careless_one() EXECUTE to pegboard_app",
        "backwards leaves + grant careless_one() EXECUTE to pegboard_system",
        "forwards fails after backwards: careless_2026_11_24_0001.py: ",
    ],
    check_drift: ["careless_notes.text: declared integer NOT NULL, in the database text NOT NULL"],
    check_tenancy_rules: [
        "careless_notes: has a tenant_id, and row-level security is not forced",
        "careless_notes: lacks the policy system_access",
        "careless_notes: lacks the policy tenant_isolation",
    ],
    check_tables_keep_tenants_apart: [
        "careless_notes: one tenant sees another's rows",
        "careless_notes: one tenant changes another's rows",
    ],
    check_tenants_meet_nowhere: [
        f"POST {NOTES}/wipe of another tenant's administrator changes careless_notes (",
        f"GET {NOTES} shows another tenant's administrator the row ",
    ],
    check_permissions_enforced: [
        f"POST {NOTES} changes something, and the role anonymous has its permission careless:note.write",
        f"POST {NOTES}/wipe changes something, and the role anonymous has its permission careless:note.write",
    ],
    check_permissions_used: ["nothing uses the permission careless:note.forget"],
    check_event_loop: [
        "plugin.py opens a file (open) on the event loop",
        "plugin.py holds up the event loop for more than 150 ms",
    ],
    check_privileged_recorded: [f"POST {NOTES}/prune needs careless:note.prune, and leaves nothing in the audit trail"],
    check_routes_answer: [
        f"GET {NOTES}/fall answers 500 to a request that fits its schema: KeyError: 'fall' (careless/plugin.py)"
    ],
    check_everything_tried: [
        "careless_secrets could not be checked: no value was found that its check careless_secrets_word_check takes: ",
        f"POST {NOTES}/coded could not be tried: nothing fits code: a text that matches '^zyx[0-9]{{7}}$'; offer",
    ],
    check_delivered_twice: [
        "the job careless.count changes careless_notes (1 added) when it is delivered a second time",
        "the handler note_again of careless.note_written changes events (1 added) when it is delivered a second time",
        "the handler trip of careless.note_written raised KeyError: '00000000-0000-0000-0000-000000000007'",
    ],
    check_fault_in_import: [LEANER],
    check_fault_in_startup: [LEANER],
    check_fault_slow_startup: [LEANER],
    check_fault_in_migration: [LEANER],
    check_fault_in_settings: [LEANER],
}
EVERY: list[Check] = [*BROKEN, check_fault_in_hooks, check_fault_in_request, check_fault_in_job]


@pytest.mark.parametrize("check", EVERY, ids=lambda check: check.__name__)
async def test_a_good_plugin_passes(hello: Subject, check: Check) -> None:
    assert await check(hello) == []


@pytest.mark.parametrize("check", BROKEN, ids=lambda check: check.__name__)
async def test_what_is_broken_is_told(careless: Subject, check: Check) -> None:
    found = await check(careless)

    told = [re.sub(r"made_up_\d+_", "", re.sub(r"\.py:\d+", ".py", text)) for text in found]
    assert len(told) == len(BROKEN[check]), found
    assert [text for text, start in zip(told, BROKEN[check], strict=True) if not text.startswith(start)] == []
