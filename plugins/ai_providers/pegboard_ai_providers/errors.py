"""What the plugin refuses, and how providers fail."""

from pegboard_sdk.errors import Forbidden, InvalidInput, TooManyRequests, Unavailable, UpstreamFailed

__all__ = (
    "ConsentMissing",
    "ModelNotAllowed",
    "ProviderAnswerUnreadable",
    "ProviderBusy",
    "ProviderFailed",
    "ProviderNotSetUp",
    "ProviderUnknown",
    "QuotaExhausted",
)


class ModelNotAllowed(InvalidInput):
    """The administrator does not offer this model, or not that long an answer."""

    code = "ai_providers.model_not_allowed"


class ProviderUnknown(InvalidInput):
    """No enabled plugin brings this provider."""

    code = "ai_providers.provider_unknown"


class ProviderNotSetUp(Unavailable):
    """The provider's address is neither in the vault nor in the settings."""

    code = "ai_providers.provider_not_set_up"


class ProviderFailed(UpstreamFailed):
    """The provider can't be reached, refuses us, or broke off."""

    code = "ai_providers.provider_failed"


class ProviderAnswerUnreadable(UpstreamFailed):
    """The provider answered something that is not the API that it should speak."""

    code = "ai_providers.provider_answer_unreadable"


class ProviderBusy(TooManyRequests):
    """The provider's own rate limit."""

    code = "ai_providers.provider_busy"


class QuotaExhausted(TooManyRequests):
    """The account's tokens of the day don't suffice for this request."""

    code = "ai_providers.quota_exhausted"


class ConsentMissing(Forbidden):
    """The account has not consented to having its texts sent to a model."""

    code = "ai_providers.consent_missing"
