"""Plugins that are made up for these tests, beside the built-in ones."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from pegboard.plugins.compile import compile_registry
from pegboard.plugins.registry import LoadedPlugin, Registry
from pegboard_sdk.manifest import Capabilities, Manifest
from pegboard_sdk.services import Service

from tests.support.platform import TestPlatform

MakeRegistry = Callable[..., Registry]


def made_up(
    name: str,
    *,
    offers: Sequence[Service] = (),
    extensions: dict[str, Sequence[Any]] | None = None,
    collects: Sequence[str] = (),
    settings: msgspec.Struct | None = None,
    **capabilities: Any,
) -> LoadedPlugin:
    """A plugin that asks for `capabilities` and the items of hooks that it `collects`, and brings `offers` and
    `extensions`.
    """
    asked = Capabilities(extensions=list(collects), **capabilities)
    return LoadedPlugin(
        name=name,
        manifest=Manifest(name=name, summary=name, version="1", sdk=">=1", capabilities=asked),
        distribution="",
        services=offers,
        extensions=extensions or {},
        settings=settings,
    )


@pytest.fixture
def with_plugins(platform: TestPlatform) -> MakeRegistry:
    """The platform's registry and these plugins."""

    def make(*plugins: LoadedPlugin) -> Registry:
        return compile_registry([*platform.registry.plugins, *plugins], platform.registry.skipped)

    return make
