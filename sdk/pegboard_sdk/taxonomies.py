"""Taxonomies that a plugin brings (hook `taxonomies`); the kernel seeds them once per installation, shared by all
tenants.
"""

from collections.abc import Sequence

import msgspec

__all__ = ("Taxonomy", "Term")


class Term(msgspec.Struct, frozen=True):
    """A term; `slug` is unique in its taxonomy, `parent` is another term's slug."""

    slug: str
    label: str
    parent: str | None = None


class Taxonomy(msgspec.Struct, frozen=True, kw_only=True):
    """A named list or tree of terms. `name` is snake_case."""

    name: str
    title: str
    terms: Sequence[Term]
