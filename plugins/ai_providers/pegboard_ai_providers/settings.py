"""The plugin's settings."""

from typing import Annotated

import msgspec

__all__ = ("Settings",)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`base_url` is the address of an OpenAI-compatible server, up to and including its `/v1`; the vault's
    `ai_providers.openai_base_url` comes before it. `models` are those that may be named (empty: any),
    `default_model` is used where none is named. `daily_tokens` is what each account may use in a day (UTC), prompts
    and answers together, and `max_tokens` what one answer may have. `timeout` in seconds bounds the wait for a whole
    answer, or for the next piece of a streamed one. `consent_purpose` is a purpose of governance that people must
    have consented to.
    """

    base_url: str = ""
    default_model: str = "smollm2"
    models: list[str] = []
    daily_tokens: Annotated[int, msgspec.Meta(ge=0, le=10**15)] = 50_000
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1_024
    timeout: Annotated[float, msgspec.Meta(gt=0, le=600)] = 120.0
    consent_purpose: str = ""

    def __post_init__(self) -> None:
        if self.models and self.default_model not in self.models:
            raise ValueError(f"default_model must be one of models: {', '.join(self.models)}")
