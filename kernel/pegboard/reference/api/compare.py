"""What changed between two versions of an API, and what each change means for the plugins that are there.

What breaks is judged by who is on the other side: a plugin *calls* functions and what the kernel hands it, and it
*implements* hooks, providers and services, which others call.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from pegboard.reference.api.model import Api, Deprecation, Member, Parameter, Symbol

__all__ = ("KERNEL_MADE", "Change", "compare")

KERNEL_MADE = frozenset(
    {
        "pegboard_sdk.hookspecs.PluginContext", "pegboard_sdk.http.Exchange", "pegboard_sdk.outbound.Outbound",
        "pegboard_sdk.outbound.OutboundStream", "pegboard_sdk.testing.OpenKernel", "pegboard_sdk.testing.TestAccount",
        "pegboard_sdk.testing.TestKernel", "pegboard_sdk.work.Context", "pegboard_sdk.work.Record",
        "pegboard_sdk.work.SteppedUnitOfWork", "pegboard_sdk.work.UnitOfWork",
    }
)  # fmt: skip
"""Protocols that only the kernel implements: it may add to them. Of all others a plugin may bring an implementation."""

_READ_ONLY = frozenset({"Sequence", "Iterable", "Collection", "Mapping", "tuple", "type", "frozenset"})


class Change(msgspec.Struct, frozen=True):
    """One change: `what` names the thing, `how` says what happened to it."""

    level: Literal["breaking", "additive"]
    what: str
    how: str

    def __str__(self) -> str:
        return f"{self.what} {self.how}"


def compare(old: Api, new: Api) -> list[Change]:
    """What changed from `old` to `new`, breaking changes first."""
    found = list(_changes(old, new))
    return sorted(found, key=lambda change: (change.level != "breaking", change.what, change.how))


def _changes(old: Api, new: Api) -> Iterator[Change]:
    for module in old.modules.keys() | new.modules.keys():
        before, after = old.modules.get(module, {}), new.modules.get(module, {})
        for name in before.keys() | after.keys():
            what = f"{module}.{name}"
            if name not in after:
                yield Change("breaking", what, "was removed")
            elif name not in before:
                yield Change("additive", what, "is new")
            else:
                yield from _symbol(what, before[name], after[name])


def _symbol(what: str, old: Symbol, new: Symbol) -> Iterator[Change]:
    yield from _deprecation(what, old.deprecated, new.deprecated)
    if old.kind != new.kind:
        yield Change("breaking", what, f"was a {old.kind} and is a {new.kind}")
    elif new.kind == "name":
        if old.value.rpartition(".")[2] != new.value.rpartition(".")[2]:
            yield Change("breaking", what, f"was {old.value} and is {new.value}")
    elif new.kind == "value":
        if (old.type, old.value) != (new.type, new.value):
            yield Change("breaking", what, f"was {old.value} and is {new.value}")
    elif new.kind in ("function", "hook"):
        yield from _marks(what, old.marks, new.marks)
        yield from _returns(what, old.type, new.type, implemented=new.kind == "hook")
        yield from _parameters(what, old.parameters, new.parameters, implemented=False)
    else:
        yield from _class(what, old, new)


def _class(what: str, old: Symbol, new: Symbol) -> Iterator[Change]:
    yield from _marks(what, old.marks, new.marks)
    for base in old.bases:
        if base not in new.bases:
            yield Change("breaking", what, f"is no {base} any more")
    for base in new.bases:
        if base not in old.bases:
            yield Change("additive", what, f"is a {base} now")
    if old.options != new.options:
        yield Change("breaking", what, f"was declared with {_written(old.options)} and is with {_written(new.options)}")
    implemented = new.kind == "protocol" and what not in KERNEL_MADE
    for name, member in old.members.items():
        at = f"{what}.{name}"
        if name not in new.members:
            yield Change("breaking", at, "was removed")
        else:
            yield from _member(at, member, new.members[name], implemented=implemented)
    for name, member in new.members.items():
        if name not in old.members:
            yield _added(f"{what}.{name}", member, implemented=implemented)
    if new.kind == "struct" and new.options.get("kw_only") != "True":
        fields = [name for name, member in old.members.items() if member.kind == "field" and name in new.members]
        now = [name for name, member in new.members.items() if member.kind == "field"]
        if now[: len(fields)] != fields:
            yield Change("breaking", what, f"takes its arguments in another order: {', '.join(now)}")


def _added(what: str, member: Member, *, implemented: bool) -> Change:
    if implemented:
        return Change("breaking", what, "is new, and whoever implements the protocol lacks it")
    if member.kind == "field" and member.value is None:
        return Change("breaking", what, "is new and required")
    return Change("additive", what, "is new")


def _member(what: str, old: Member, new: Member, *, implemented: bool) -> Iterator[Change]:
    yield from _deprecation(what, old.deprecated, new.deprecated)
    if old.kind != new.kind:
        yield Change("breaking", what, f"was a {old.kind} and is a {new.kind}")
        return
    if new.kind == "method":
        yield from _marks(what, old.marks, new.marks)
        yield from _returns(what, old.type, new.type, implemented=implemented)
        yield from _parameters(what, old.parameters, new.parameters, implemented=implemented)
        return
    if old.type != new.type:
        yield Change("breaking", what, f"was of type {old.type or 'nothing said'} and is of {new.type}")
    if old.value != new.value:
        if old.value is None:
            yield Change("additive", what, f"has a default now: {new.value}")
        elif new.value is None:
            yield Change("breaking", what, "is required now")
        else:
            yield Change("breaking", what, f"was {old.value} by default and is {new.value}")


def _parameters(
    what: str, old: Sequence[Parameter], new: Sequence[Parameter], *, implemented: bool
) -> Iterator[Change]:
    before, after = {one.name: one for one in old}, {one.name: one for one in new}
    for name, parameter in before.items():
        if name not in after:
            yield Change("breaking", what, f"has no parameter {name} any more")
        else:
            yield from _parameter(what, parameter, after[name])
    for name, parameter in after.items():
        if name in before:
            continue
        if parameter.default is None:
            yield Change("breaking", what, f"has a new required parameter {name}")
        elif implemented:
            yield Change("breaking", what, f"has a new parameter {name}, which implementations don't take")
        else:
            yield Change("additive", what, f"has a new parameter {name}")
    ordered = [one.name for one in old if one.kind in ("positional", "either") and one.name in after]
    now = [one.name for one in new if one.kind in ("positional", "either")]
    if all(after[name].kind in ("positional", "either") for name in ordered) and now[: len(ordered)] != ordered:
        yield Change("breaking", what, f"takes its arguments in another order: {', '.join(now)}")


def _parameter(what: str, old: Parameter, new: Parameter) -> Iterator[Change]:
    name = new.name
    if old.kind != new.kind and new.kind != "either":
        yield Change("breaking", what, f"takes {name} as {new.kind} and took it as {old.kind}")
    if old.type != new.type:
        wider = _is_wider(old.type, new.type)
        yield Change("additive" if wider else "breaking", what, f"takes {name} as {new.type} and took {old.type}")
    if old.default != new.default:
        if old.default is None:
            yield Change("additive", what, f"has a default for {name} now: {new.default}")
        elif new.default is None:
            yield Change("breaking", what, f"requires {name} now")
        else:
            yield Change("breaking", what, f"has {new.default} as the default for {name}, and had {old.default}")


def _returns(what: str, old: str, new: str, *, implemented: bool) -> Iterator[Change]:
    """Of what a plugin implements, it may return more than before; what it calls may return no more than before."""
    if old != new:
        fits = _is_wider(old, new) if implemented else _is_wider(new, old)
        yield Change("additive" if fits else "breaking", what, f"returns {new or 'nothing'} and returned {old}")


def _marks(what: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    if sorted(old) != sorted(new):
        yield Change("breaking", what, f"was {', '.join(old) or 'plain'} and is {', '.join(new) or 'plain'}")


def _deprecation(what: str, old: Deprecation | None, new: Deprecation | None) -> Iterator[Change]:
    if old != new:
        how = "is deprecated no more" if new is None else f"is deprecated until {new.removal}: {new.use}"
        yield Change("additive", what, how)


def _is_wider(old: str, new: str) -> bool:
    """Whether all that fits `old` fits `new`."""
    if not old or not new:
        return False
    return _fits(ast.parse(old, mode="eval").body, ast.parse(new, mode="eval").body)


def _fits(old: ast.expr, new: ast.expr) -> bool:
    if ast.unparse(old) == ast.unparse(new):
        return True
    alternatives = _alternatives(new)
    if isinstance(old, ast.BinOp):
        return all(_fits(one, new) for one in _alternatives(old))
    if len(alternatives) > 1:
        return any(_fits(old, one) for one in alternatives)
    if isinstance(old, ast.Subscript) and isinstance(new, ast.Subscript):
        base = ast.unparse(old.value)
        return base == ast.unparse(new.value) and base in _READ_ONLY and _fits(old.slice, new.slice)
    if isinstance(old, ast.Tuple) and isinstance(new, ast.Tuple) and len(old.elts) == len(new.elts):
        return all(_fits(*pair) for pair in zip(old.elts, new.elts, strict=True))
    return False


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_alternatives(node.left), *_alternatives(node.right)]
    return [node]


def _written(options: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "nothing"
