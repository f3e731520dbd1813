"""Escrows, the payments that fund them, and the books of the sandbox provider."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:02:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Escrows and payments."

# The fee is part of what was agreed: it is fixed when the escrow is opened.
ESCROWS = """
CREATE TABLE finance_escrows (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    reference text NOT NULL CHECK (length(reference) BETWEEN 1 AND 200),
    payer_id uuid NOT NULL,
    payee_id uuid NOT NULL CHECK (payee_id <> payer_id),
    amount bigint NOT NULL CHECK (amount > 0),
    fee bigint NOT NULL CHECK (fee BETWEEN 0 AND amount),
    currency varchar(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state text NOT NULL DEFAULT 'awaiting_funds'
        CHECK (state IN ('awaiting_funds', 'held', 'released', 'refunded', 'cancelled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, reference)
)
"""

PAYMENTS = """
CREATE TABLE finance_payments (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    escrow_id uuid NOT NULL,
    provider text NOT NULL,
    method text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency varchar(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'unknown', 'succeeded', 'declined', 'lapsed', 'returning', 'returned')),
    provider_charge_id text,
    decline_code text,
    checked_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, escrow_id) REFERENCES finance_escrows (tenant_id, id) ON DELETE RESTRICT
)
"""
PAYMENT_INDEXES = (
    # Whatever else goes wrong, an escrow has one payment under way.
    """
    CREATE UNIQUE INDEX finance_payments_open ON finance_payments (tenant_id, escrow_id)
    WHERE state IN ('pending', 'unknown')
    """,
    "CREATE INDEX finance_payments_escrow ON finance_payments (tenant_id, escrow_id, id)",
    """
    CREATE INDEX finance_payments_unsettled ON finance_payments (tenant_id, checked_at)
    WHERE state IN ('pending', 'unknown')
    """,
)

# What a real provider would keep on its side.
SANDBOX_CHARGES = """
CREATE TABLE finance_sandbox_charges (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    reference text NOT NULL,
    amount bigint NOT NULL,
    currency varchar(3) NOT NULL,
    state text NOT NULL CHECK (state IN ('succeeded', 'declined', 'refunded')),
    decline_code text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, reference)
)
"""

FORWARDS = (
    ESCROWS, PAYMENTS, *PAYMENT_INDEXES, SANDBOX_CHARGES,
    protect_table("finance_escrows", privileges="SELECT, INSERT, UPDATE (state)"),
    protect_table(
        "finance_payments",
        privileges="SELECT, INSERT, UPDATE (state, provider_charge_id, decline_code, checked_at)",
    ),
    protect_table("finance_sandbox_charges", privileges="SELECT, INSERT, UPDATE (state)"),
)  # fmt: skip

BACKWARDS = ("DROP TABLE finance_sandbox_charges, finance_payments, finance_escrows",)


async def forwards():
    """Make escrows and payments."""
    return sql_migration(app="finance", id=ID, description=DESCRIPTION, forwards=FORWARDS, backwards=BACKWARDS)
