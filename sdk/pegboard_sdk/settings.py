"""Settings of a plugin, and secrets that don't show themselves."""

from typing import Any

__all__ = ("Secret",)


class Secret:
    """A secret text. `reveal()` gives it; `repr`, `str`, logs and JSON don't."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself: pass it on, don't keep it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
