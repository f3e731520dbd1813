"""Money: integer minor units and an ISO 4217 code. No floats."""

from typing import Annotated

import msgspec

__all__ = ("CurrencyCode", "MinorUnits", "Money", "PositiveMinorUnits")

CurrencyCode = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code", examples=["EUR"])]
MinorUnits = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53, description="Minor units, such as cents")]
PositiveMinorUnits = Annotated[int, msgspec.Meta(ge=1, le=10**12, description="Minor units, such as cents")]


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units of `currency`. The upper bound of 2**53 is what JavaScript's numbers hold exactly."""

    amount: MinorUnits
    currency: CurrencyCode
