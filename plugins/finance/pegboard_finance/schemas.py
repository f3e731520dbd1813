"""What goes in and out over HTTP."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from pegboard_sdk import Money
from pegboard_sdk.records import RecordState

from pegboard_finance.states import EscrowState, PaymentState

__all__ = ("Balances", "Escrow", "EscrowFund", "LedgerTotal", "Payment", "StatementLine", "Subject", "TrialBalance")

Kind = Literal["asset", "liability", "revenue"]
Purpose = Literal["wallet", "escrow", "refunds", "platform_fees", "provider_clearing"]


class EscrowFund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to pay: `method` is a token of the provider's, such as `card_success` of the sandbox. It begins with a
    letter, so that a card number, which must not reach us, is refused.
    """

    provider: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$", max_length=50, examples=["sandbox"])]
    method: Annotated[
        str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.:-]*$", max_length=255, examples=["card_success"])
    ]


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to take an escrow's money from its payer. `decline_code` is the provider's."""

    id: UUID
    provider: str
    state: PaymentState
    decline_code: str | None
    created_at: datetime


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What an escrow is for: a record of another plugin. `label` is what people know it by, as long as anybody does;
    `tombstone`: its plugin was uninstalled.
    """

    label: str | None
    state: RecordState


class Escrow(msgspec.Struct, frozen=True, kw_only=True):
    """Money that is held for a purpose: its `subject`, which `reference` names. `fee` is the platform's part of
    `money`, the rest is the payee's; `payment` is the latest one.
    """

    id: UUID
    reference: str
    subject: Subject
    state: EscrowState
    payer_id: UUID
    payee_id: UUID
    money: Money
    fee: Money
    payment: Payment | None
    created_at: datetime
    updated_at: datetime


class Balances(msgspec.Struct, frozen=True):
    """What somebody has: an amount for each currency that they were ever paid in."""

    wallets: list[Money]


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """Money that came into a wallet (positive) or left it (negative)."""

    transaction_id: UUID
    kind: str
    reference: str
    money: Money
    created_at: datetime


class LedgerTotal(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts of one purpose and currency, in minor units: `balance` is credits less debits."""

    kind: Kind
    purpose: Purpose
    currency: str
    debits: int
    credits: int
    balance: int


class TrialBalance(msgspec.Struct, frozen=True):
    """The whole ledger. The `sums` of the balances are zero in each currency: whatever is there came from somewhere."""

    totals: list[LedgerTotal]
    sums: list[Money]
