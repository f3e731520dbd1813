"""How labels are sorted and found: without case and accents."""

import unicodedata

__all__ = ("LAST", "fold")

LAST = "\U0010ffff"
"""Sorts behind every text that goes on after a prefix."""


def fold(text: str) -> str:
    """`text` without case, accents, compatibility forms and needless blanks: `"  Élan vital"` → `"elan vital"`."""
    # Compatibility forms may be capitals, and folding may bring forms that decompose: Unicode, 3.13, D146.
    decomposed = unicodedata.normalize("NFKD", text)
    for _ in range(2):
        decomposed = unicodedata.normalize("NFKD", decomposed.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())
