"""Numbers in sentences."""

__all__ = ("counted",)


def counted(number: int, noun: str, plural: str = "") -> str:
    """The number with what it counts: `1 row`, `2 rows`, `10,500 rows`. `plural` where it isn't the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
