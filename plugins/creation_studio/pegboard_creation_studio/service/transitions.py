"""Asks a state machine what an action leads to."""

from pegboard_sdk.errors import Conflict, Forbidden

from pegboard_creation_studio.states import Machine, Party, performers

__all__ = ("next_state",)


def next_state(
    machine: Machine,
    state: str,
    action: str,
    party: Party,
    *,
    noun: str,
    forbidden: type[Forbidden],
    wrong: type[Conflict],
    hint: str = "",
) -> str:
    """The state that `action` by `party` leads to. `hint` ends the message of a wrong state: a sentence.

    Raises:
        Forbidden (`forbidden`): the party may do this in no state.
        Conflict (`wrong`): not in this state.
    """
    if party not in performers(machine, action):
        raise forbidden(f"As its {party} you can't {action} this {noun}.")
    transition = machine[state].get(action)
    if transition is None or party not in transition.by:
        raise wrong(f"This {noun} is {state.replace('_', ' ')}: in that state you can't {action} it. {hint}".rstrip())
    return transition.state
