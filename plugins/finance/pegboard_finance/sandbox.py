"""The sandbox payment provider: takes no real money, and answers by the test method that it is given.

It stands for a program outside the platform, so it keeps books of its own and knows what it did, whichever process
asks.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
from pegboard_sdk import Money, Record, SteppedUnitOfWork, new_id
from pegboard_sdk.payments import Charge, ChargeRequest, PaymentProvider, PaymentUnknown

from pegboard_finance.errors import ProviderAnsweredWrongly

__all__ = ("METHODS", "Behaviour", "SandboxProvider")

INSERT = """
INSERT INTO finance_sandbox_charges (id, tenant_id, reference, amount, currency, state, decline_code)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant_id, reference) DO NOTHING
"""

FIND = """
SELECT id, reference, amount, currency, state, decline_code FROM finance_sandbox_charges WHERE reference = $1
"""

REFUND = """
UPDATE finance_sandbox_charges SET state = 'refunded' WHERE reference = $1 AND state = 'succeeded'
"""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What a test method does. `arrives`: the charge reaches the provider; `answers`: its answer reaches us."""

    state: Literal["succeeded", "declined"] = "succeeded"
    decline_code: str | None = None
    arrives: bool = True
    answers: bool = True


METHODS: Mapping[str, Behaviour] = {
    "card_success": Behaviour(),
    "card_declined": Behaviour(state="declined", decline_code="insufficient_funds"),
    "card_unknown": Behaviour(answers=False),
    "card_unknown_declined": Behaviour(state="declined", decline_code="insufficient_funds", answers=False),
    "card_unreachable": Behaviour(arrives=False, answers=False),
}
NO_SUCH_METHOD = Behaviour(state="declined", decline_code="no_such_method")


class SandboxProvider:
    """`pegboard_sdk.payments.TenantPaymentProvider`: each tenant has its own books."""

    name = "sandbox"

    def bind(self, uow: SteppedUnitOfWork) -> PaymentProvider:
        """The sandbox for the tenant of `uow`."""
        return _TenantSandbox(uow)


class _TenantSandbox:
    name = "sandbox"

    def __init__(self, uow: SteppedUnitOfWork) -> None:
        self._uow = uow

    async def charge(self, request: ChargeRequest) -> Charge:
        behaviour = METHODS.get(request.method, NO_SUCH_METHOD)
        if behaviour.arrives:
            async with self._uow.step() as step:
                await step.execute(
                    INSERT,
                    new_id(),
                    step.tenant_id,
                    request.reference,
                    request.money.amount,
                    request.money.currency,
                    behaviour.state,
                    behaviour.decline_code,
                )
        charge = await self.find(request.reference) if behaviour.answers else None
        if charge is None:
            raise PaymentUnknown("the connection broke while the sandbox was charging")
        return charge

    async def find(self, reference: str) -> Charge | None:
        async with self._uow.step() as step:
            row = await step.fetchrow(FIND, reference)
        return None if row is None else _charge(row)

    async def refund(self, charge: Charge, *, reference: str) -> Charge:
        async with self._uow.step() as step:
            await step.execute(REFUND, charge.reference)
        refunded = await self.find(charge.reference)
        if refunded is None:
            raise ProviderAnsweredWrongly("The sandbox has no such charge.")
        return refunded


def _charge(row: Record) -> Charge:
    return Charge(
        provider_id=f"sandbox_{row['id'].hex}",
        reference=row["reference"],
        state=row["state"],
        money=Money(row["amount"], row["currency"]),
        decline_code=row["decline_code"],
    )
