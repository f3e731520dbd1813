"""How things leave the SDK: they are marked, warn for as long as they are there, and go with the version named.

    @deprecated(since="1.4", removal="2.0", use="send_all")
    def send(message: str) -> None: ...

Nothing goes within a major version, so `removal` is the next one. `pegboard plugins check` names each use of what is
deprecated, docs/reference/sdk.md lists it, and Pegboard's own tests fail where something is still there in the version
that it is to be gone from.
"""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pegboard_sdk.hookspecs import PROJECT

__all__ = ("Deprecation", "PegboardDeprecationWarning", "deprecated", "deprecation_of", "warn_deprecated")

T = TypeVar("T", bound=Callable[..., Any])

_ATTRIBUTE = "__pegboard_deprecated__"
_HOOK = f"{PROJECT}_spec"


class PegboardDeprecationWarning(FutureWarning):
    """Something of the SDK is used that will be gone. It is shown by default: whoever runs a plugin should learn of it
    before the version that it stops working with.
    """


class Deprecation(msgspec.Struct, frozen=True):
    """`since` and `removal` are versions of the SDK, `use` is what to write instead."""

    since: str
    removal: str
    use: str

    def sentence(self, what: str) -> str:
        """What to tell whoever uses `what`."""
        return (
            f"{what} is deprecated since version {self.since} of pegboard_sdk and gone from {self.removal} on:"
            f" use {self.use}"
        )


def deprecated(*, since: str, removal: str, use: str) -> Callable[[T], T]:
    """Mark a function, a class or, above `@hookspec`, a hook.

    Calling the function or making an object of the class warns; a hook warns when a plugin that implements it is
    loaded. A Struct is marked only, as nothing of Python's runs when one is made: let its `__post_init__` call
    `warn_deprecated`. `since` and `removal` are versions such as `1.4` and `2.0`; `use` says what to write instead.
    """
    told = Deprecation(since, removal, use)

    def mark(thing: T) -> T:
        spec = vars(thing).get(_HOOK)
        marked: Any = thing
        if spec is not None:
            spec["warn_on_impl"] = PegboardDeprecationWarning(told.sentence(f"the hook {thing.__name__}"))
        elif isinstance(thing, type):
            if not issubclass(thing, msgspec.Struct):
                _warn_when_made(thing, told)
        else:
            marked = _warn_when_called(thing, told)
        setattr(marked, _ATTRIBUTE, told)
        return marked

    return mark


def deprecation_of(thing: Any) -> Deprecation | None:
    """What was said of a function, class or hook when it was marked; None of others, subclasses too."""
    return vars(thing).get(_ATTRIBUTE)


def warn_deprecated(what: str, told: Deprecation, *, stacklevel: int = 1) -> None:
    """Warn of a use that calling nothing shows, such as a field that was given. `stacklevel` is how many callers up the
    place is that should be mended.
    """
    warnings.warn(told.sentence(what), PegboardDeprecationWarning, stacklevel=stacklevel + 1)


def _warn_when_called(function: Callable[..., Any], told: Deprecation) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            warn_deprecated(function.__qualname__, told, stacklevel=2)
            return await function(*args, **kwargs)

        return call_async

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        warn_deprecated(function.__qualname__, told, stacklevel=2)
        return function(*args, **kwargs)

    return call


def _warn_when_made(cls: type, told: Deprecation) -> None:
    initialize: Callable[..., None] = cls.__init__  # type: ignore[misc]  # of a class, not of an object

    @functools.wraps(initialize)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        warn_deprecated(cls.__qualname__, told, stacklevel=2)
        initialize(self, *args, **kwargs)

    cls.__init__ = init  # type: ignore[misc]  # as above
