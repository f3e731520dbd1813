"""Whether a process that ended at its start is worth another attempt."""

from pegboard.plugins.start_marks import StartMarks

__all__ = ("Lessons",)

ATTEMPTS = 3
"""How many in a row may teach nothing."""


class Lessons:
    """Counts one process's failed starts.

    Another attempt is worth it as long as each tells something new of a plugin: it is known after the first that one
    may be at fault, after the second which, and the third goes without it. `plugins` bounds it: how many there are.
    """

    def __init__(self, marks: StartMarks, plugins: int) -> None:
        self._marks = marks
        self._known = marks.strikes()
        self._left = ATTEMPTS + 2 * plugins
        self._in_vain = 0

    def another(self) -> bool:
        """Whether to try again, now that an attempt has failed."""
        known, before = self._marks.strikes(), self._known
        self._known = known
        self._in_vain = self._in_vain + 1 if known == before else 0
        self._left -= 1
        return self._left > 0 and self._in_vain < ATTEMPTS

    @property
    def learned(self) -> bool:
        """Whether the last attempt told something new."""
        return self._in_vain == 0

    @property
    def amid(self) -> str:
        """What processes were doing with plugins when they ended, in words; empty where that isn't known."""
        return self._marks.left()
