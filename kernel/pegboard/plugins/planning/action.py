"""What somebody wants done with plugins."""

from typing import Literal

import msgspec

__all__ = ("Action", "DataFate")

DataFate = Literal["keep", "export", "purge"]


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """Plugins to turn on, to turn off, to bring to the version that is installed, and to uninstall.

    `data` is what becomes of the data of those that are uninstalled. `cascade`: what others hang on goes with them.
    Without any names, it is whatever `plugins.toml` and the installed distributions say otherwise than what runs.
    """

    on: list[str] = []
    off: list[str] = []
    upgrade: list[str] = []
    uninstall: list[str] = []
    data: DataFate | None = None
    cascade: bool = False

    @property
    def names(self) -> list[str]:
        """All plugins that are named."""
        return sorted({*self.on, *self.off, *self.upgrade, *self.uninstall})
