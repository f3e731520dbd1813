"""What plugins call of each other: services and extensions, behind a proxy that lets the offering plugin act.

A proxy is made once per registry. A unit of work among its method's arguments becomes a view of the same transaction
that acts as the offering plugin; nothing is kept in a context variable, so who acts is what one was handed.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from pegboard.capabilities.proxy import Proxy
from pegboard.work import WorkContext

__all__ = ("offered",)

_DATA = (str, bytes, int, float, type, tuple, list, dict, set, frozenset, msgspec.Struct)


def offered(thing: Any, plugin: str, *, service: type | None = None) -> Any:
    """`thing`, which `plugin` offers, as others get it: data as they are, anything that can be called so that `plugin`
    acts. `service` is the protocol where it is one, so that its uses are on record.
    """
    if isinstance(thing, _DATA):
        return thing
    if inspect.isroutine(thing):
        return _method(thing, plugin, service, thing.__name__)
    # A class of its own: checks of protocols at run time look at classes.
    members: dict[str, Any] = {"__slots__": ()}
    for name in dir(thing):
        if name.startswith("_"):
            continue
        if isinstance(inspect.getattr_static(thing, name), property):
            members[name] = _attribute(name)
            continue
        value = getattr(thing, name)
        members[name] = staticmethod(_method(value, plugin, service, name)) if callable(value) else _attribute(name)
    return type(type(thing).__name__, (Proxy,), members)(thing, plugin)


def _attribute(name: str) -> property:
    return property(lambda self: getattr(self._offered, name))


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
