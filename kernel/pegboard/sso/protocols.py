"""What providers are spoken to by."""

from typing import TYPE_CHECKING

from pegboard.config.sso import ProviderSettings
from pegboard.sso.github import GitHub
from pegboard.sso.openid import OpenIdConnect

if TYPE_CHECKING:
    from pegboard.runtime import Runtime

__all__ = ("protocol_of",)


def protocol_of(runtime: "Runtime", settings: ProviderSettings) -> OpenIdConnect | GitHub:
    """The protocol of a provider."""
    return GitHub() if settings.preset == "github" else OpenIdConnect(runtime.issuers)
