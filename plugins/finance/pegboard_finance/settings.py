"""What an administrator decides about money."""

from typing import Annotated

import msgspec

__all__ = ("Settings",)

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`platform_fee_bps`: the platform's share of an escrow, in basis points (1000 is 10 %). `sandbox`: offer the
    payment provider that takes no real money; for trying things out, never for business. Times in seconds:
    `provider_timeout` is how long a provider may take to answer, `settle_after` the age at which a payment that was
    never settled is asked about, `lapse_after` the age at which one that its provider never saw is given up.
    `refund_limit`: a refund of more than this, in minor units of its currency, takes a second person's approval; 0
    means that every one does, and without it none does.
    """

    platform_fee_bps: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000
    sandbox: bool = False
    provider_timeout: Seconds = 20.0
    settle_after: Seconds = 60.0
    lapse_after: Seconds = 900.0
    refund_limit: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        if self.lapse_after <= self.provider_timeout:
            raise ValueError("lapse_after must be longer than provider_timeout, or payments under way are given up")
