"""The page on hooks."""

import inspect
from collections.abc import Iterator

from pegboard_sdk import hookspecs

from pegboard.reference.markdown import page, prose
from pegboard.reference.subject import Subject

__all__ = ("hook_names", "hooks_page")

_INTRODUCTION = """
A hook is a function of the module that a plugin's entry point names, marked `@hookimpl`. It takes `context` (the
plugin's name and settings) or nothing, returns what the plugin brings, and does nothing else: the kernel mounts,
migrates, runs and delivers. [Writing a plugin](../writing-a-plugin.md) uses most of them.

A plugin may have hooks of its own, named `<plugin>_<what it collects>`.
"""


def hook_names() -> list[str]:
    """The SDK's hooks."""
    return sorted(name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec"))


def hooks_page(subject: Subject) -> str:
    """Every hook of the SDK: signature, what it is for, and who implements it."""
    return page("Hooks", _INTRODUCTION, (section for name in hook_names() for section in _hook(name, subject)))


def _hook(name: str, subject: Subject) -> Iterator[str]:
    spec = getattr(hookspecs, name)
    returns = inspect.get_annotations(spec)["return"]
    plugins = ", ".join(f"[{plugin}](../../plugins/{plugin}/)" for plugin in subject.implementations.get(name, ()))
    yield f"## `{name}`"
    yield f"```python\n@hookimpl\ndef {name}(context: PluginContext) -> {returns}\n```"
    yield prose(spec)
    yield f"Implemented by {plugins or 'the plugin of [Writing a plugin](../writing-a-plugin.md)'}."
