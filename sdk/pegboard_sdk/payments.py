"""Payment providers: what finance needs from whoever moves real money (hook `payment_providers`)."""

from typing import Literal, Protocol, runtime_checkable

import msgspec

from pegboard_sdk.money import Money
from pegboard_sdk.work import SteppedUnitOfWork

__all__ = ("Charge", "ChargeRequest", "PaymentProvider", "PaymentUnknown", "TenantPaymentProvider")


class PaymentUnknown(Exception):
    """The provider may or may not have taken the money (time-out, broken connection): ask `find` later, never charge
    again.
    """


class ChargeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Take `money` by `method` (a token of the provider's: a card number never reaches us). `reference` makes it
    idempotent at the provider.
    """

    reference: str
    money: Money
    method: str
    description: str


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a charge. `decline_code` is the provider's, set when declined."""

    provider_id: str
    reference: str
    state: Literal["succeeded", "declined", "refunded"]
    money: Money
    decline_code: str | None = None


class PaymentProvider(Protocol):
    """One payment provider. Methods call out: they are never called inside a transaction."""

    @property
    def name(self) -> str:
        """snake_case; what a request names it by."""
        ...

    async def charge(self, request: ChargeRequest) -> Charge:
        """Take the money. The same `reference` again gives the first outcome again.

        Raises:
            PaymentUnknown: it is not known whether the money was taken.
        """
        ...

    async def find(self, reference: str) -> Charge | None:
        """What became of the charge with `reference`; None if the provider never saw it.

        Raises:
            PaymentUnknown: the provider can't say now.
        """
        ...

    async def refund(self, charge: Charge, *, reference: str) -> Charge:
        """Give the whole charge back; idempotent by `reference`.

        Raises:
            PaymentUnknown: it is not known whether the money went back.
        """
        ...


@runtime_checkable
class TenantPaymentProvider(Protocol):
    """A provider that differs by tenant: its key is in the tenant's vault, or it keeps rows of its own.

    The hook may return one in place of a `PaymentProvider`; it is bound before each use.
    """

    @property
    def name(self) -> str:
        """snake_case; what a request names it by."""
        ...

    def bind(self, uow: SteppedUnitOfWork) -> PaymentProvider:
        """The provider for the tenant of `uow`. It opens steps of its own, and none while it calls out."""
        ...
