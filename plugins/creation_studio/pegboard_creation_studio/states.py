"""The states of gigs and orders, as data: what may be done in each, by whom, and what comes of it."""

from collections.abc import Mapping
from typing import Literal

import msgspec

__all__ = ("GIGS", "ORDERS", "GigState", "Machine", "OrderState", "Party", "Transition", "performers")

GigState = Literal["draft", "published", "archived"]
OrderState = Literal["pending_payment", "in_progress", "delivered", "completed", "cancelled", "refunded"]
Party = Literal["owner", "moderator", "buyer", "seller", "system"]


class Transition(msgspec.Struct, frozen=True):
    """An action's outcome: the next state, and the parties that may do it."""

    state: str
    by: tuple[Party, ...]


Machine = Mapping[str, Mapping[str, Transition]]
"""State → action → transition. A state without actions is final."""

GIGS: Machine = {
    "draft": {
        "edit": Transition("draft", ("owner",)),
        "publish": Transition("published", ("owner",)),
        "archive": Transition("archived", ("owner",)),
        "delete": Transition("draft", ("owner",)),
    },
    "published": {
        "edit": Transition("published", ("owner",)),
        "archive": Transition("archived", ("owner", "moderator")),
    },
    "archived": {
        "delete": Transition("archived", ("owner",)),
    },
}

# What *system* does follows finance's events. A refund may overtake the funding that it undoes.
ORDERS: Machine = {
    "pending_payment": {
        "fund": Transition("in_progress", ("system",)),
        "cancel": Transition("cancelled", ("buyer", "seller", "system")),
        "refund": Transition("refunded", ("system",)),
    },
    "in_progress": {
        "deliver": Transition("delivered", ("seller",)),
        "refund": Transition("refunded", ("system",)),
    },
    "delivered": {
        "deliver": Transition("delivered", ("seller",)),
        "accept": Transition("completed", ("buyer",)),
        "refund": Transition("refunded", ("system",)),
    },
    "completed": {},
    "cancelled": {},
    "refunded": {},
}


def performers(machine: Machine, action: str) -> frozenset[Party]:
    """The parties that may do `action` in some state."""
    return frozenset(party for actions in machine.values() if action in actions for party in actions[action].by)
