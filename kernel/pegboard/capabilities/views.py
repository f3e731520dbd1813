"""What plugins call of each other: services and extensions, behind a proxy that lets the offering plugin act.

A proxy is made once per registry. A unit of work among its method's arguments becomes a view of the same transaction
that acts as the offering plugin; nothing is kept in a context variable, so who acts is what one was handed.
"""

import copy
import dataclasses
import enum
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from pegboard.capabilities.proxy import Proxy
from pegboard.work import WorkContext

__all__ = ("offered",)

_HANDED_ON = frozenset(
    {"__call__", "__len__", "__iter__", "__next__", "__contains__", "__getitem__", "__bool__", "__str__", "__eq__"}
    | {"__hash__", "__lt__", "__le__", "__gt__", "__ge__", "__enter__", "__exit__", "__aenter__", "__aexit__"}
    | {"__aiter__", "__anext__", "__await__", "__int__", "__float__", "__index__", "__format__", "__fspath__"}
)
"""Python looks these up in the class, so the proxy's class has those that the thing's own class has."""


def offered(thing: Any, plugin: str, *, service: type | None = None) -> Any:
    """`thing`, which `plugin` offers, as others get it: data as they are, anything that can be called so that `plugin`
    acts. `service` is the protocol where it is one, so that its uses are on record.

    Containers and records (structs, dataclasses) stay what they are; where something in them can be called, they are
    copies. An object whose methods take arguments, which may be a unit of work, becomes a proxy; so does one that names
    a secret, for its plugin to read. For `isinstance` and comparisons a proxy is what it stands for.
    """
    if isinstance(thing, type | enum.Enum | str | bytes | int | float | complex | None):
        return thing
    if isinstance(thing, tuple | list | dict | set | frozenset):
        return _container(thing, plugin, service)
    if inspect.isroutine(thing) or isinstance(thing, functools.partial):
        return _method(thing, plugin, service, getattr(thing, "__name__", "call"))
    acts = callable(thing) or any(_takes_arguments(kind) for kind in type(thing).__mro__)
    if service is not None or acts or hasattr(thing, "secret") or hasattr(thing, "secrets"):
        return _proxy(thing, plugin, service)
    if isinstance(thing, msgspec.Struct) or dataclasses.is_dataclass(thing):
        return _record(thing, plugin, service)
    if any(map(callable, getattr(thing, "__dict__", {}).values())):
        return _proxy(thing, plugin, service)
    return thing


def _container(thing: Any, plugin: str, service: type | None) -> Any:
    """The thing itself where nothing in it can be called, else one of its kind with what others get."""
    if isinstance(thing, dict):
        values = {key: offered(value, plugin, service=service) for key, value in thing.items()}
        if all(values[key] is value for key, value in thing.items()):
            return thing
        changed = copy.copy(thing)
        changed.update(values)
        return changed
    several = [offered(one, plugin, service=service) for one in thing]
    if all(one is other for one, other in zip(several, thing, strict=True)):
        return thing
    make = getattr(type(thing), "_make", type(thing))  # a named tuple's
    return make(several)


def _record(thing: Any, plugin: str, service: type | None) -> Any:
    """The thing itself where nothing in it can be called, else a copy."""
    changed = {}
    for name in _fields(thing):
        value = getattr(thing, name)
        seen = offered(value, plugin, service=service)
        if seen is not value:
            changed[name] = seen
    if not changed:
        return thing
    copied = copy.copy(thing)
    for name, value in changed.items():
        if isinstance(copied, msgspec.Struct):
            msgspec.structs.force_setattr(copied, name, value)
        else:
            object.__setattr__(copied, name, value)  # it may be frozen, and nobody else has it yet
    return copied


def _fields(thing: Any) -> list[str]:
    if isinstance(thing, msgspec.Struct):
        return list(thing.__struct_fields__)
    return [field.name for field in dataclasses.fields(thing) if hasattr(thing, field.name)]


@functools.cache
def _takes_arguments(kind: type) -> bool:
    """Whether a class brings public methods that can be handed something. Class methods make instances, mostly, and the
    standard library's know nothing of units of work.
    """
    if kind is msgspec.Struct or kind.__module__.partition(".")[0] in sys.stdlib_module_names:
        return False
    return any(
        not name.startswith("_") and _parameters(member) > (not isinstance(member, staticmethod))
        for name, member in vars(kind).items()
        if isinstance(member, staticmethod) or inspect.isroutine(member)
    )


def _parameters(member: Any) -> int:
    try:
        return 0 if isinstance(member, classmethod) else len(inspect.signature(member).parameters)
    except (TypeError, ValueError):
        return sys.maxsize  # compiled code may not tell: it may take anything


def _proxy(thing: Any, plugin: str, service: type | None) -> Proxy:
    # A class of its own: checks of protocols at run time look at classes.
    members: dict[str, Any] = {"__slots__": ()}
    for name in dir(thing):
        if name.startswith("_"):
            if name in _HANDED_ON and getattr(type(thing), name) is not getattr(object, name, None):
                members[name] = _special(thing, name, plugin, service)
            continue
        if isinstance(inspect.getattr_static(thing, name), property | functools.cached_property):
            members[name] = _attribute(name)
            continue
        value = getattr(thing, name)
        members[name] = staticmethod(_method(value, plugin, service, name)) if callable(value) else _attribute(name)
    members["__class__"] = property(lambda self: type(thing))
    if dataclasses.is_dataclass(thing):
        members["__dataclass_fields__"] = type(thing).__dataclass_fields__
    return type(type(thing).__name__, (Proxy,), members)(thing, plugin)


def _attribute(name: str) -> property:
    return property(lambda self: getattr(self._offered, name))


def _special(thing: Any, name: str, plugin: str, service: type | None) -> Any:
    """A method that Python calls by itself. What is compared is what the proxy stands for."""
    if name == "__hash__":
        return None if type(thing).__hash__ is None else lambda self: hash(self._offered)
    if name in ("__eq__", "__lt__", "__le__", "__gt__", "__ge__"):
        compare = getattr(type(thing), name)
        return lambda self, other: compare(thing, other._offered if isinstance(other, Proxy) else other)
    return staticmethod(_method(getattr(thing, name), plugin, service, name))


def _method(call: Callable[..., Any], plugin: str, service: type | None, name: str) -> Callable[..., Any]:
    def attributed(argument: Any) -> Any:
        if not isinstance(argument, WorkContext):
            return argument
        if service is not None:
            argument.note_service(service, plugin, name)
        argument.runtime.breakers.called(plugin)
        return argument.acting_as(plugin)

    @functools.wraps(call)
    def method(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {key: attributed(argument) for key, argument in kwargs.items()}
        return call(*map(attributed, args), **kwargs)

    return method
