"""Where an exception was raised."""

import traceback
from pathlib import Path

__all__ = ("raised_in",)


def raised_in(error: BaseException, folder: Path | None = None) -> str:
    """The last place (`file:line`) that an exception came by: in `folder`, relative to its parent, or else anywhere;
    empty where it came by none.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if folder is None:
            return f"{frame.filename}:{frame.lineno}"
        if path.is_relative_to(folder):
            return f"{path.relative_to(folder.parent).as_posix()}:{frame.lineno}"
    return ""
