"""What the taxonomy routes answer."""

import msgspec

__all__ = ("Taxonomy", "Term")


class Taxonomy(msgspec.Struct, frozen=True):
    """A named list or tree of terms."""

    name: str
    title: str


class Term(msgspec.Struct, frozen=True):
    """A term. `slug` is what things are tagged with; `parent` is the slug of the term above it in a tree."""

    slug: str
    label: str
    parent: str | None
