"""Calls one plugin's hooks and checks the shape of what they return.

pluggy stops a hook's call at the first exception, whoever's it is: hooks are called one plugin at a time, so that a
failure has one owner.
"""

import inspect
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import click
import msgspec
import pluggy
from litestar import Controller
from pegboard_sdk import hookspecs
from pegboard_sdk.access import Permission, RoleGrant
from pegboard_sdk.ai import AIProvider, TenantAIProvider
from pegboard_sdk.authorization import ApprovalKind, DynamicSegregation, ObjectRule, StaticSegregation
from pegboard_sdk.connectors import Connector
from pegboard_sdk.database import PiccoloApp
from pegboard_sdk.events import Event, EventHandler
from pegboard_sdk.health import HealthCheck
from pegboard_sdk.jobs import ExternalJob, Job, Schedule
from pegboard_sdk.payments import PaymentProvider, TenantPaymentProvider
from pegboard_sdk.records import RecordType, ReferenceColumn
from pegboard_sdk.services import Service
from pegboard_sdk.taxonomies import Taxonomy

__all__ = (
    "CLASSES",
    "EXTENSION_PROTOCOLS",
    "ITEMS",
    "SINGLES",
    "Context",
    "HookError",
    "Hooks",
    "describe",
    "interruptions",
    "missing_members",
    "raised_at",
)

T = TypeVar("T", bound=msgspec.Struct)

CLASSES: Mapping[str, type] = {"controllers": Controller, "events": Event}
"""Hooks that return a list of classes, and what the classes derive from."""

ITEMS: Mapping[str, tuple[type, ...]] = {
    "permissions": (Permission,),
    "roles": (RoleGrant,),
    "segregation_rules": (StaticSegregation, DynamicSegregation),
    "object_rules": (ObjectRule,),
    "approval_kinds": (ApprovalKind,),
    "event_handlers": (EventHandler,),
    "jobs": (Job, ExternalJob),
    "schedules": (Schedule,),
    "services": (Service,),
    "health_checks": (HealthCheck,),
    "cli_commands": (click.Command,),
    "taxonomies": (Taxonomy,),
    "record_types": (RecordType,),
    "reference_columns": (ReferenceColumn,),
}
"""Hooks that return a list of things that the kernel itself uses, and what those are."""

SINGLES: Mapping[str, str] = {
    "piccolo_app": "a PiccoloApp",
    "on_startup": "an async function",
    "on_shutdown": "an async function",
}
"""Hooks that return one thing, and what that is."""

EXTENSION_PROTOCOLS: Mapping[str, tuple[type, ...]] = {
    "payment_providers": (PaymentProvider, TenantPaymentProvider),
    "ai_providers": (AIProvider, TenantAIProvider),
    "connectors": (Connector,),
}
"""Collecting hooks of the SDK, whose items other plugins use, and the protocols of which each item follows one."""


class HookError(Exception):
    """A plugin's hooks can't be used; the text says which and why."""


class Context:
    """`PluginContext` of one plugin."""

    def __init__(self, name: str, settings: msgspec.Struct | None) -> None:
        self._name = name
        self._settings = settings

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self._name

    def settings(self, type: type[T]) -> T:
        """The plugin's settings.

        Raises:
            LookupError: `type` is not the settings Struct that the manifest names.
        """
        if not isinstance(self._settings, type):
            raise LookupError(f"the manifest of {self._name} does not name {type.__qualname__} as its settings")
        return self._settings


class Hooks:
    """The hooks of one load: a plugin manager of its own, so that loading leaves nothing behind."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def register(self, name: str, module: ModuleType) -> None:
        """Take in a plugin's implementations, and the hookspecs of its own.

        Raises:
            HookError: it implements a hook that doesn't exist, or wrongly.
        """
        own = [attribute for attribute in vars(module) if self._is_hookspec(module, attribute)]
        for attribute in own:
            if not attribute.startswith(f"{name}_"):
                raise HookError(f"its own hook {attribute} must be named {name}_<what it collects>")
            if list(inspect.signature(getattr(module, attribute)).parameters) != ["context"]:
                raise HookError(f"its own hook {attribute} must take `context` and nothing else")
        try:
            if own:
                self._manager.add_hookspecs(module)
            self._manager.register(module, name=name)
        except (ValueError, pluggy.PluginValidationError) as error:
            raise HookError(f"its hooks don't fit: {' '.join(str(error).split())}") from error
        problem = self._implementation_problem(module)
        if problem is not None:
            self._manager.unregister(module)
            raise HookError(problem)

    def forget(self, module: ModuleType) -> None:
        """Take a plugin out again, so that later ones don't meet its implementations."""
        if self._manager.is_registered(module):
            self._manager.unregister(module)

    def call(self, module: ModuleType, context: Context) -> dict[str, Any]:
        """What the plugin brings, by hook; hooks that it doesn't implement are left out.

        Raises:
            HookError: a hook raised or returned something else than it must.
        """
        others = [plugin for plugin in self._manager.get_plugins() if plugin is not module]
        brought: dict[str, Any] = {}
        for caller in self._manager.get_hookcallers(module) or ():
            hook = caller.name
            if caller.spec is None:
                # An optional hook of a plugin that isn't on.
                continue
            try:
                result = self._manager.subset_hook_caller(hook, others)(context=context)
            except (Exception, SystemExit, *interruptions()) as error:
                raise HookError(f"its hook {hook} raised {describe(error)}") from error
            if not caller.spec.opts["firstresult"]:
                result = result[0] if result else None
            if result is not None:
                brought[hook] = _checked(hook, result)
        return brought

    def _is_hookspec(self, module: ModuleType, attribute: str) -> bool:
        return self._manager.parse_hookspec_opts(module, attribute) is not None

    def _implementation_problem(self, module: ModuleType) -> str | None:
        for caller in self._manager.get_hookcallers(module) or ():
            implementation = next(impl for impl in caller.get_hookimpls() if impl.plugin is module)
            if caller.spec is None and not implementation.optionalhook:
                return f"it implements the hook {caller.name}, which neither the SDK nor a plugin that it requires has"
            if implementation.hookwrapper or implementation.wrapper:
                return f"its hook {caller.name} is a wrapper: a plugin may not change what others return"
            if inspect.iscoroutinefunction(implementation.function):
                return f"its hook {caller.name} is async: hooks are plain functions that return what the plugin brings"
        return None


def missing_members(implementation: Any, protocol: type) -> list[str]:
    """What `implementation` lacks of `protocol`'s public members."""
    members = {
        name
        for base in protocol.__mro__
        if getattr(base, "_is_protocol", False)
        for name in (*vars(base), *getattr(base, "__annotations__", {}))
        if not name.startswith("_")
    }
    return sorted(name for name in members if not hasattr(implementation, name))


def interruptions() -> tuple[type[BaseException], ...]:
    """What else a plugin may raise that is its failure: an interrupt, except in the main thread, where it is a
    person's.
    """
    return () if threading.current_thread() is threading.main_thread() else (KeyboardInterrupt, GeneratorExit)


def describe(error: BaseException) -> str:
    """One line about an exception."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def raised_at(error: BaseException, folder: Path) -> str:
    """Where in the plugin's own files an exception was raised, in brackets; empty where it was not there."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)
    ]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def _checked(hook: str, result: Any) -> Any:
    """`result`, as a tuple where the hook returns a list."""
    if hook in SINGLES:
        fits = isinstance(result, PiccoloApp) if hook == "piccolo_app" else _is_async(result)
        if not fits:
            raise HookError(f"its hook {hook} must return {SINGLES[hook]}, not {_name_of(result)}")
        return result
    if isinstance(result, str | bytes) or not isinstance(result, Sequence):
        raise HookError(f"its hook {hook} must return a list, not {_name_of(result)}")
    for item in result:
        if hook in CLASSES and not (isinstance(item, type) and issubclass(item, CLASSES[hook])):
            raise HookError(f"its hook {hook} must return {CLASSES[hook].__name__} classes, not {_name_of(item)}")
        if hook in ITEMS and not isinstance(item, ITEMS[hook]):
            kinds = " or ".join(kind.__name__ for kind in ITEMS[hook])
            raise HookError(f"its hook {hook} must return {kinds} items, not {_name_of(item)}")
        if hook in EXTENSION_PROTOCOLS:
            lacks = {protocol.__name__: missing_members(item, protocol) for protocol in EXTENSION_PROTOCOLS[hook]}
            if all(lacks.values()):
                problems = " and ".join(f"no {name}: it lacks {missing[0]}" for name, missing in lacks.items())
                raise HookError(f"its hook {hook} returned {_name_of(item)}, which is {problems}")
    return tuple(result)


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # async callable objects too


def _name_of(item: Any) -> str:
    return item.__qualname__ if isinstance(item, type) else f"a {type(item).__qualname__}"
