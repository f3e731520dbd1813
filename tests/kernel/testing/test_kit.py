"""What a plugin's tests are given."""

from typing import Any

import pytest
from pegboard.testing.kit import open_kernel
from pegboard_sdk.testing import TestKernel


async def open_and_close(plugin: str, **options: Any) -> None:
    async with open_kernel(plugin, **({"settings": {}, "secrets": {}, "also": ()} | options)):
        pass


async def test_the_plugin_and_what_it_requires_are_on_and_secrets_are_there() -> None:
    opening = open_kernel(
        "creation_studio", settings={}, secrets={"creation_studio.key": "s3cr3t"}, also=("governance",)
    )
    async with opening as platform:
        kernel: TestKernel = platform
        assert {one.name for one in platform.registry.plugins} == {"kernel", "creation_studio", "governance"}
        tenant = await kernel.tenant()
        await kernel.secret("creation_studio.other", "o", tenant=tenant)
        async with kernel.work(kernel.system(tenant)) as uow:
            platforms = await uow.secret("creation_studio.key")
            own = await uow.secret("creation_studio.other")
        assert platforms is not None
        assert own is not None
        assert (platforms.reveal(), own.reveal()) == ("s3cr3t", "o")
        assert await kernel.drain() == 0


@pytest.mark.parametrize(
    ("plugin", "options", "reason"),
    [
        ("nowhere", {}, "the plugin nowhere can't be used: no installed package offers it"),
        ("finance", {"settings": {"finance": {"nonsense": 1}}}, "the plugin finance can't be used: its settings"),
        ("finance", {"also": ("nowhere",)}, "the plugin nowhere can't be used"),
    ],
)
async def test_what_can_not_be_used_is_named(plugin: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(RuntimeError, match=reason):
        await open_and_close(plugin, **options)
