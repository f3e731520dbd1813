"""The state machines are whole, and the database knows the same states."""

import re
from typing import get_args

import pytest
from pegboard_finance.states import (
    ESCROWS,
    PAYMENTS,
    EscrowAction,
    EscrowState,
    Machine,
    PaymentAction,
    PaymentState,
    outcome,
    sources,
)

from tests.support.platform import TestPlatform

MACHINES = [
    pytest.param(ESCROWS, EscrowState, EscrowAction, "awaiting_funds", id="escrows"),
    pytest.param(PAYMENTS, PaymentState, PaymentAction, "pending", id="payments"),
]


@pytest.mark.parametrize(("machine", "states", "actions", "start"), MACHINES)
def test_each_state_can_be_reached_and_each_action_leads_to_one(
    machine: Machine, states: object, actions: object, start: str
):
    assert set(machine) == set(get_args(states))
    assert {action for possible in machine.values() for action in possible} == set(get_args(actions))
    reached, ahead = set(), {start}
    while ahead:
        reached |= ahead
        ahead = {state for at in ahead for state in machine[at].values()} - reached
    assert reached == set(machine)
    for action in get_args(actions):
        assert outcome(machine, action) in machine
        assert outcome(machine, action) not in sources(machine, action)


@pytest.mark.parametrize(("table", "machine"), [("finance_escrows", ESCROWS), ("finance_payments", PAYMENTS)])
async def test_the_database_knows_the_same_states(platform: TestPlatform, table: str, machine: Machine):
    async with platform.runtime.database.system_transaction() as connection:
        checks = await connection.fetch(
            "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = $1::text::regclass"
            " AND contype = 'c'",
            table,
        )
    (check,) = [check["text"] for check in checks if "state" in check["text"]]
    assert set(re.findall(r"'(\w+)'::text", check)) == set(machine)
