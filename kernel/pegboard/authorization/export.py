"""The matrix as a file: a line for each cell that is granted or was decided on."""

import csv
import io

from pegboard.authorization.schemas import Matrix

__all__ = ("to_csv",)

COLUMNS = ("role", "permission", "granted", "source", "default", "plugin", "edited_by", "edited_at", "reason")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(matrix: Matrix) -> str:
    """The matrix's grants as CSV (RFC 4180). A text that a spreadsheet would take for a formula is quoted with `'`."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for grant in matrix.grants:
        writer.writerow([_cell(getattr(grant, column)) for column in COLUMNS])
    return file.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
