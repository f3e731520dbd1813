"""Texts that somebody else made, such as a plugin's error, as PostgreSQL can hold them."""

__all__ = ("storable",)


def storable(text: str, limit: int | None = None) -> str:
    """`text` with something else for what PostgreSQL refuses, NUL and halves of surrogate pairs; at most `limit`
    characters.
    """
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()[:limit]
