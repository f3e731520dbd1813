"""Compares what plugins bring now with what they would bring."""

from collections.abc import Callable, Iterable, Mapping

from pegboard.plugins.planning.content import Delta, Operations
from pegboard.plugins.planning.contract import Contract, Operation

__all__ = ("breaking_changes", "capabilities_of", "compare", "operations", "unheard", "unserved")

Contracts = Mapping[str, Contract]


def compare(before: Contracts, after: Contracts, what: Callable[[Contract], Iterable[str]]) -> Delta:
    """What `what` reads from the contracts, gained and lost."""
    old = {item for contract in before.values() for item in what(contract)}
    new = {item for contract in after.values() for item in what(contract)}
    return Delta(gained=sorted(new - old), lost=sorted(old - new))


def operations(before: Contracts, after: Contracts) -> Operations:
    """Operations gained and lost. One that moves is lost where it was and gained where it goes."""

    def key(one: Operation) -> tuple[str, str, str]:
        return one.operation, one.method, one.path

    old = {key(one): one for contract in before.values() for one in contract.operations}
    new = {key(one): one for contract in after.values() for one in contract.operations}
    return Operations(
        gained=[new[one] for one in sorted(new.keys() - old.keys())],
        lost=[old[one] for one in sorted(old.keys() - new.keys())],
    )


def unheard(before: Contracts, after: Contracts) -> list[str]:
    """Who stays and listens to an event that nobody emits any more."""
    lost = compare(before, after, lambda one: one.events).lost
    return [
        f"{name} listens to {event}"
        for name, contract in sorted(after.items())
        for event in contract.listens_to
        if event in lost
    ]


def unserved(before: Contracts, after: Contracts) -> list[str]:
    """Who stays and uses a service that nobody offers any more, or whose collecting hook loses entries."""
    lost = compare(before, after, lambda one: one.services).lost
    offered = {service: name for name, contract in before.items() for service in contract.services}
    sentences = [
        f"{name} uses {service}, which {offered[service]} offers"
        for name, contract in sorted(after.items())
        for service in contract.capabilities.services
        if service in lost
    ]
    for name, contract in sorted(before.items()):
        kept = after[name].extends if name in after else {}
        sentences += [
            f"whoever collects {hook} no longer finds what {name} adds to it"
            for hook in sorted(contract.extends.keys() - kept)
        ]
    return sentences


def capabilities_of(contract: Contract) -> list[str]:
    """What a plugin asks to use, a phrase each."""
    asked = contract.capabilities
    phrases = [f"calls {host}" for host in asked.outbound_hosts]
    phrases += [f"reads the secret {secret}" for secret in asked.secrets]
    phrases += [f"uses {service}" for service in asked.services]
    phrases += [f"uses what others add to {hook}" for hook in asked.extensions]
    phrases += ["spends on language models"] if asked.ai_spend else []
    return [f"{contract.name} {phrase}" for phrase in phrases]


def breaking_changes(old: Contract, new: Contract) -> list[str]:
    """What a plugin's next version takes away or tightens that clients, plugins or administrators may hang on."""
    name = new.name
    kept = {one.operation: one for one in new.operations}
    sentences: list[str] = []
    for one in old.operations:
        now = kept.get(one.operation)
        if now is None:
            sentences.append(f"clients lose {one.operation} ({one.method} {one.path})")
        elif (now.method, now.path) != (one.method, one.path):
            sentences.append(f"{one.operation} moves from {one.method} {one.path} to {now.method} {now.path}")
        elif now.permission != one.permission:
            sentences.append(
                f"{one.operation} needs {now.permission or 'no permission'} instead of {one.permission or 'none'}"
            )
    for what, before, after in (
        ("permission", old.permissions, new.permissions),
        ("event", old.events, new.events),
        ("setting", old.settings, new.settings),
        ("service", old.services, new.services),
        ("job", old.jobs, new.jobs),
    ):
        sentences += [f"{name} no longer has the {what} {item}" for item in sorted(set(before) - set(after))]
    for role in sorted(old.grants):
        taken = set(old.grants[role]).difference(new.grants.get(role, ()))
        sentences += [f"the role {role} loses {one}" for one in sorted(taken) if one in new.permissions]
    return sentences
