"""The plugin says where its settings can't work."""

import pytest
from pegboard_ai_providers.health import address_check
from pegboard_ai_providers.settings import Settings


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:8080/v1", "https://api.openai.com/v1"])
async def test_an_address_or_none_is_well(address: str) -> None:
    assert await address_check(Settings(base_url=address)).check() is None


@pytest.mark.parametrize("address", ["api.openai.com/v1", "ftp://models.example/v1", "https:///v1"])
async def test_what_is_no_address_is_unwell(address: str) -> None:
    said = await address_check(Settings(base_url=address)).check()

    assert said is not None
    assert said.startswith("set plugins.ai_providers.base_url ")
