"""Taxonomies for tests: shared rows are everybody's, so each test brings names of its own."""

from collections.abc import Sequence

from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard_sdk import new_id
from pegboard_sdk.manifest import Manifest
from pegboard_sdk.taxonomies import Taxonomy, Term

__all__ = ("fresh_name", "registry_with", "taxonomy")


def fresh_name() -> str:
    """A taxonomy's name that no other test has."""
    return f"t_{new_id().hex}"


def taxonomy(*terms: Term | str, name: str | None = None, title: str = "Colours") -> Taxonomy:
    """A taxonomy of terms, or of slugs that are also labels."""
    return Taxonomy(
        name=name or fresh_name(),
        title=title,
        terms=[term if isinstance(term, Term) else Term(term, term) for term in terms],
    )


def registry_with(*taxonomies: Taxonomy, plugin: str = "palette") -> Registry:
    """A registry of one plugin that brings the taxonomies."""
    return Registry(plugins=[loaded(plugin, taxonomies)])


def loaded(name: str, taxonomies: Sequence[Taxonomy]) -> LoadedPlugin:
    """A plugin that brings taxonomies and nothing else."""
    manifest = Manifest(name=name, summary="Colours", version="1.0.0", sdk=">=1")
    return LoadedPlugin(name=name, manifest=manifest, distribution="palette 1.0.0", taxonomies=taxonomies)
