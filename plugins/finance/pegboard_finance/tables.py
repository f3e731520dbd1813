"""The plugin's tables, as Piccolo sees them; their queries are SQL, in the repository."""

from piccolo.columns import UUID, BigInt, SmallInt, Text, Timestamptz, Varchar
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "Account", "Balance", "Escrow", "Payment", "Posting", "SandboxCharge", "Transaction")


class Account(Table, tablename="finance_accounts"):
    """A ledger account; append-only. Its kind (asset, liability or revenue) is generated from its purpose."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    purpose = Text(null=False, default=None)
    owner_id = UUID(null=False, default=None)
    currency = Varchar(3, null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class Balance(Table, tablename="finance_balances"):
    """The running balance of an account that holds people's money: never negative."""

    account_id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    amount = BigInt(null=False, default=0)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class Transaction(Table, tablename="finance_transactions"):
    """A journal entry; append-only."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    kind = Text(null=False, default=None)
    reference = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class Posting(Table, tablename="finance_postings"):
    """One line of a journal entry; append-only. The primary key is (tenant_id, transaction_id, position)."""

    tenant_id = UUID(null=False, default=None)
    transaction_id = UUID(primary_key=True, default=None)
    position = SmallInt(null=False, default=None)
    account_id = UUID(null=False, default=None)
    currency = Varchar(3, null=False, default=None)
    amount = BigInt(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class Escrow(Table, tablename="finance_escrows"):
    """Money that is held for a purpose."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    reference = Text(null=False, default=None)
    payer_id = UUID(null=False, default=None)
    payee_id = UUID(null=False, default=None)
    amount = BigInt(null=False, default=None)
    fee = BigInt(null=False, default=None)
    currency = Varchar(3, null=False, default=None)
    state = Text(null=False, default="awaiting_funds")
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class Payment(Table, tablename="finance_payments"):
    """An attempt to take an escrow's money from its payer."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    escrow_id = UUID(null=False, default=None)
    provider = Text(null=False, default=None)
    method = Text(null=False, default=None)
    amount = BigInt(null=False, default=None)
    currency = Varchar(3, null=False, default=None)
    state = Text(null=False, default="pending")
    provider_charge_id = Text(null=True, default=None)
    decline_code = Text(null=True, default=None)
    checked_at = Timestamptz(null=False, default=TimestamptzNow())
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class SandboxCharge(Table, tablename="finance_sandbox_charges"):
    """What the sandbox provider keeps of a charge."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    reference = Text(null=False, default=None)
    amount = BigInt(null=False, default=None)
    currency = Varchar(3, null=False, default=None)
    state = Text(null=False, default=None)
    decline_code = Text(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (Account, Balance, Transaction, Posting, Escrow, Payment, SandboxCharge)
