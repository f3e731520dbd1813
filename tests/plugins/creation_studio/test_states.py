"""The state machines, as data."""

from typing import get_args

import pytest
from pegboard_creation_studio.states import GIGS, ORDERS, GigState, Machine, OrderState, Party, performers

MACHINES = [(GIGS, GigState, "draft"), (ORDERS, OrderState, "pending_payment")]


@pytest.mark.parametrize(("machine", "states", "first"), MACHINES)
def test_every_state_is_there_and_can_be_reached(machine: Machine, states: object, first: str):
    reached, waiting = {first}, [first]
    while waiting:
        for transition in machine[waiting.pop()].values():
            if transition.state not in reached:
                reached.add(transition.state)
                waiting.append(transition.state)
    assert reached == set(machine) == set(get_args(states))


@pytest.mark.parametrize(("machine", "states", "first"), MACHINES)
def test_every_transition_has_somebody_who_may_do_it(machine: Machine, states: object, first: str):
    for actions in machine.values():
        for transition in actions.values():
            assert transition.by
            assert set(transition.by) <= set(get_args(Party))


def test_money_that_was_paid_out_or_given_back_ends_an_order():
    assert [state for state, actions in ORDERS.items() if not actions] == ["completed", "cancelled", "refunded"]


def test_only_the_buyer_lets_the_seller_be_paid():
    assert performers(ORDERS, "accept") == {"buyer"}
    assert [state for state, actions in ORDERS.items() if "accept" in actions] == ["delivered"]
