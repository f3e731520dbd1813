"""What stands for a thing of another plugin."""

from typing import Any

__all__ = ("Proxy",)


class Proxy:
    """Stands for something that a plugin offers. `_plugin` offers it; `_offered` is the thing itself."""

    __slots__ = ("_offered", "_plugin")

    def __init__(self, offered: Any, plugin: str) -> None:
        self._offered = offered
        self._plugin = plugin

    @staticmethod
    def owner(thing: object) -> str | None:
        """The plugin that offers `thing`; None where it is no proxy."""
        return thing._plugin if isinstance(thing, Proxy) else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._offered, name)

    def __repr__(self) -> str:
        return f"<{self._offered!r} of {self._plugin}>"
