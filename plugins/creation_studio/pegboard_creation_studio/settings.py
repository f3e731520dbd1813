"""What an administrator decides about gigs."""

from typing import Annotated

import msgspec
from pegboard_sdk.money import CurrencyCode

__all__ = ("Settings",)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`currencies`: what gigs may be priced in (ISO 4217). `default_language`: what gigs are written and searched in
    where nothing else is said (ISO 639-1).
    """

    currencies: Annotated[tuple[CurrencyCode, ...], msgspec.Meta(min_length=1)] = ("EUR", "GBP", "USD")
    default_language: Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$")] = "en"
