"""The states of escrows and payments, as data: what may happen in each, and what comes of it."""

from collections.abc import Mapping
from typing import Literal

__all__ = (
    "ESCROWS",
    "PAYMENTS",
    "EscrowAction",
    "EscrowState",
    "Machine",
    "PaymentAction",
    "PaymentState",
    "outcome",
    "sources",
)

EscrowState = Literal["awaiting_funds", "held", "released", "refunded", "cancelled"]
EscrowAction = Literal["fund", "release", "refund", "cancel"]
PaymentState = Literal["pending", "unknown", "succeeded", "declined", "lapsed", "returning", "returned"]
PaymentAction = Literal["lose", "succeed", "decline", "lapse", "void", "return", "confirm_return"]

Machine = Mapping[str, Mapping[str, str]]
"""State → action → next state. A state without actions is final."""

ESCROWS: Machine = {
    "awaiting_funds": {"fund": "held", "cancel": "cancelled"},
    "held": {"release": "released", "refund": "refunded"},
    "released": {},
    "refunded": {},
    "cancelled": {},
}

# `lose`: the provider's answer did not arrive. `lapse`: the provider never saw the payment, though its answer may still
# come, late. `void`: it was taken and given back before we knew. `return`: we give it back.
PAYMENTS: Machine = {
    "pending": {
        "lose": "unknown",
        "succeed": "succeeded",
        "decline": "declined",
        "lapse": "lapsed",
        "void": "returned",
    },
    "unknown": {"succeed": "succeeded", "decline": "declined", "lapse": "lapsed", "void": "returned"},
    "lapsed": {"succeed": "succeeded", "decline": "declined", "void": "returned"},
    "succeeded": {"return": "returning"},
    "returning": {"confirm_return": "returned"},
    "declined": {},
    "returned": {},
}


def sources(machine: Machine, action: str) -> list[str]:
    """The states in which `action` is possible."""
    return [state for state, actions in machine.items() if action in actions]


def outcome(machine: Machine, action: str) -> str:
    """The state that `action` leads to: the same from wherever it is possible."""
    (state,) = {actions[action] for actions in machine.values() if action in actions}
    return state
