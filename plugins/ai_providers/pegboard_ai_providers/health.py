"""Whether the plugin is set up to reach a model."""

from urllib.parse import urlsplit

from pegboard_sdk.health import HealthCheck

from pegboard_ai_providers.settings import Settings

__all__ = ("address_check",)


def address_check(settings: Settings) -> HealthCheck:
    """Unwell where the model server's address in the settings is no address; none is well: the vault may hold one."""

    async def check() -> str | None:
        parts = urlsplit(settings.base_url)
        if not settings.base_url or (parts.scheme in ("http", "https") and parts.hostname):
            return None
        return "set plugins.ai_providers.base_url to an address such as https://api.openai.com/v1"

    return HealthCheck(name="address", check=check)
