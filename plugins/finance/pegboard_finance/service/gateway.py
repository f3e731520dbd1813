"""The payment providers of the enabled plugins. Whatever calls out here is called while no transaction is open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pegboard_sdk import SteppedUnitOfWork
from pegboard_sdk.errors import FieldError
from pegboard_sdk.payments import Charge, ChargeRequest, PaymentProvider, PaymentUnknown, TenantPaymentProvider

from pegboard_finance.errors import ProviderAnsweredWrongly, ProviderUnknown
from pegboard_finance.repository.payments import PaymentRow
from pegboard_finance.settings import Settings

__all__ = ("charge", "find", "get_provider", "give_back")


def get_provider(uow: SteppedUnitOfWork, name: str) -> PaymentProvider:
    """The provider of this name, for the tenant.

    Raises:
        ProviderUnknown: no enabled plugin offers it.
    """
    for provider in uow.extensions("payment_providers"):
        if provider.name == name:
            return provider.bind(uow) if isinstance(provider, TenantPaymentProvider) else provider
    raise ProviderUnknown(
        f"No payment provider named {name} is enabled.", errors=[FieldError("/provider", "Unknown provider.")]
    )


async def charge(uow: SteppedUnitOfWork, payment: PaymentRow) -> Charge:
    """Take the payment's money.

    Raises:
        PaymentUnknown: it is not known whether it was taken.
        ProviderAnsweredWrongly: the answer is about another payment.
    """
    provider = get_provider(uow, payment.provider)
    request = ChargeRequest(
        reference=payment.reference,
        money=payment.money,
        method=payment.method,
        description=f"Escrow {payment.escrow_id}",
    )
    async with _deadline(uow, payment):
        answer = await provider.charge(request)
    return _about(payment, answer)


async def find(uow: SteppedUnitOfWork, payment: PaymentRow) -> Charge | None:
    """What became of the payment; None if its provider never saw it.

    Raises:
        PaymentUnknown: the provider can't say now.
        ProviderAnsweredWrongly: the answer is about another payment.
        ProviderUnknown: no enabled plugin offers the provider any more.
    """
    provider = get_provider(uow, payment.provider)
    async with _deadline(uow, payment):
        answer = await provider.find(payment.reference)
    return None if answer is None else _about(payment, answer)


async def give_back(uow: SteppedUnitOfWork, payment: PaymentRow) -> None:
    """Give the payment's money back. Twice gives it back once.

    Raises:
        PaymentUnknown: it is not known whether the money went back.
        ProviderAnsweredWrongly: the answer is about another payment, or says that the money was not given back.
        ProviderUnknown: no enabled plugin offers the provider any more.
    """
    provider = get_provider(uow, payment.provider)
    taken = Charge(
        provider_id=payment.provider_charge_id or "",
        reference=payment.reference,
        state="succeeded",
        money=payment.money,
    )
    async with _deadline(uow, payment):
        answer = await provider.refund(taken, reference=f"{payment.reference}:return")
    if _about(payment, answer).state != "refunded":
        raise ProviderAnsweredWrongly(f"{payment.provider} did not give the payment {payment.id} back.")


@asynccontextmanager
async def _deadline(uow: SteppedUnitOfWork, payment: PaymentRow) -> AsyncIterator[None]:
    """A provider that doesn't answer in time leaves us as ignorant as a broken connection does."""
    try:
        async with asyncio.timeout(uow.settings(Settings).provider_timeout):
            yield
    except TimeoutError as error:
        raise PaymentUnknown(f"{payment.provider} did not answer in time") from error


def _about(payment: PaymentRow, answer: Charge) -> Charge:
    if (answer.reference, answer.money) != (payment.reference, payment.money):
        raise ProviderAnsweredWrongly(f"{payment.provider} answered about another payment than {payment.id}.")
    return answer
