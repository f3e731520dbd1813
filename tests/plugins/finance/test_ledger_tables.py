"""The ledger's tables against whoever writes SQL: balanced, complete and final, whoever it is."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import pytest
from pegboard_sdk import Money, new_id

from tests.plugins.finance.factories import amount_in, held_deal, ledger_totals, open_escrow
from tests.support.platform import TestPlatform

OWNER, SYSTEM, APP, SUPERUSER = "pegboard_owner", "pegboard_system", "pegboard_app", "none"
LEDGER = ("finance_accounts", "finance_transactions", "finance_postings")

Line = tuple[int, str, str, int]
"""Position, purpose, currency, amount."""


async def account(connection: asyncpg.Connection, tenant: UUID, purpose: str, currency: str) -> UUID:
    (row,) = await connection.fetch(
        "SELECT id FROM finance_accounts WHERE tenant_id = $1 AND purpose = $2 AND currency = $3 LIMIT 1",
        tenant,
        purpose,
        currency,
    )
    return row["id"]


async def insert_entry(connection: asyncpg.Connection, tenant: UUID, *statements: Sequence[Line]) -> None:
    """An entry by plain inserts: its header, then one INSERT for each of `statements`."""
    entry = new_id()
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO finance_transactions (id, tenant_id, kind, reference) VALUES ($1, $2, 'test', $3)",
            entry,
            tenant,
            str(entry),
        )
        for lines in statements:
            await connection.execute(
                "INSERT INTO finance_postings (tenant_id, transaction_id, position, account_id, currency, amount)"
                " SELECT $1, $2, * FROM unnest($3::smallint[], $4::uuid[], $5::text[], $6::bigint[])",
                tenant,
                entry,
                [line[0] for line in lines],
                [await account(connection, tenant, line[1], line[2]) for line in lines],
                [line[2] for line in lines],
                [line[3] for line in lines],
            )


@pytest.fixture
async def accounts(platform: TestPlatform, tenant: UUID) -> UUID:
    """Accounts in two currencies; gives the payee whose wallet is among them."""
    payer, payee = new_id(), new_id()
    for currency in ("EUR", "USD"):
        await open_escrow(platform, tenant, payer, payee, Money(1_000, currency))
    return payee


@pytest.mark.parametrize("role", [OWNER, SYSTEM, SUPERUSER])
async def test_a_balanced_entry_moves_the_balances(
    platform: TestPlatform, tenant: UUID, accounts: UUID, as_role: asyncpg.Connection, role: str
):
    await as_role.execute(f"SET ROLE {role}")
    await insert_entry(as_role, tenant, [(1, "provider_clearing", "EUR", -300), (2, "wallet", "EUR", 300)])

    assert await amount_in(platform, tenant, "wallet", accounts) == 300
    assert await amount_in(platform, tenant, "wallet", accounts, "USD") == 0
    assert await ledger_totals(platform, tenant) == {"provider_clearing": -300, "wallet": 300}


BROKEN = {
    "unbalanced": ([(1, "provider_clearing", "EUR", -300), (2, "wallet", "EUR", 299)],),
    "balanced only across currencies": ([(1, "provider_clearing", "EUR", -300), (2, "wallet", "USD", 300)],),
    "one line": ([(1, "wallet", "EUR", 300)],),
    "no lines": (),
    "a line of nothing": ([(1, "provider_clearing", "EUR", -0), (2, "wallet", "EUR", 0)],),
    "a gap": ([(1, "provider_clearing", "EUR", -300), (3, "wallet", "EUR", 300)],),
    "not from 1": ([(2, "provider_clearing", "EUR", -300), (3, "wallet", "EUR", 300)],),
    "from 0": ([(0, "provider_clearing", "EUR", -300), (2, "wallet", "EUR", 300)],),
    "added to": (
        [(1, "provider_clearing", "EUR", -300), (2, "wallet", "EUR", 300)],
        [(3, "provider_clearing", "EUR", -300), (4, "wallet", "EUR", 300)],
    ),
    "in two parts": ([(1, "provider_clearing", "EUR", -300)], [(2, "wallet", "EUR", 300)]),
    "taken from an empty wallet": ([(1, "wallet", "EUR", -300), (2, "provider_clearing", "EUR", 300)],),
}


@pytest.mark.parametrize("role", [OWNER, SYSTEM, SUPERUSER])
@pytest.mark.parametrize("statements", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_entry_is_refused(
    platform: TestPlatform,
    tenant: UUID,
    accounts: UUID,
    as_role: asyncpg.Connection,
    role: str,
    statements: tuple[list[Line], ...],
):
    await as_role.execute(f"SET ROLE {role}")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await insert_entry(as_role, tenant, *statements)
    await as_role.execute("RESET ROLE")

    assert await ledger_totals(platform, tenant) == {}


async def test_two_entries_by_one_statement_are_refused(tenant: UUID, accounts: UUID, as_role: asyncpg.Connection):
    """Each would be balanced only together with the other."""
    one, other = new_id(), new_id()
    transaction = as_role.transaction()
    await transaction.start()
    for entry in (one, other):
        await as_role.execute(
            "INSERT INTO finance_transactions (id, tenant_id, kind, reference) VALUES ($1, $2, 'test', $3)",
            entry,
            tenant,
            str(entry),
        )
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await as_role.execute(
            "INSERT INTO finance_postings (tenant_id, transaction_id, position, account_id, currency, amount)"
            " VALUES ($1, $2, 1, $4, 'EUR', -5), ($1, $3, 2, $5, 'EUR', 5)",
            tenant,
            one,
            other,
            await account(as_role, tenant, "provider_clearing", "EUR"),
            await account(as_role, tenant, "wallet", "EUR"),
        )
    await transaction.rollback()


async def test_an_entry_can_not_use_another_tenants_account(
    platform: TestPlatform, tenant: UUID, accounts: UUID, as_role: asyncpg.Connection
):
    foreign = await platform.tenant()
    await open_escrow(platform, foreign, new_id(), new_id(), Money(1_000, "EUR"))
    theirs = await account(as_role, foreign, "wallet", "EUR")
    ours = await account(as_role, tenant, "provider_clearing", "EUR")
    entry = new_id()

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await as_role.execute(
            "WITH entry AS (INSERT INTO finance_transactions (id, tenant_id, kind, reference)"
            " VALUES ($2, $1, 'test', 'x')) INSERT INTO finance_postings"
            " (tenant_id, transaction_id, position, account_id, currency, amount)"
            " VALUES ($1, $2, 1, $3, 'EUR', -5), ($1, $2, 2, $4, 'EUR', 5)",
            tenant,
            entry,
            ours,
            theirs,
        )


@pytest.mark.parametrize("role", [APP, SYSTEM, OWNER, SUPERUSER])
@pytest.mark.parametrize("table", LEDGER)
@pytest.mark.parametrize("change", ["UPDATE {} SET created_at = now()", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
async def test_nobody_changes_what_is_written(
    platform: TestPlatform, tenant: UUID, as_role: asyncpg.Connection, role: str, table: str, change: str
):
    await held_deal(platform, tenant)
    await as_role.execute(f"SET ROLE {role}")

    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.RestrictViolationError)):
        await as_role.execute(change.format(table))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE finance_balances SET amount = amount + 1",
        "DELETE FROM finance_balances",
        "INSERT INTO finance_balances (account_id, tenant_id, amount) VALUES (gen_random_uuid(), gen_random_uuid(), 5)",
        "INSERT INTO finance_transactions (id, tenant_id, kind, reference)"
        " VALUES (gen_random_uuid(), kernel_current_tenant(), 'test', 'x')",
        "INSERT INTO finance_postings (tenant_id, transaction_id, position, account_id, currency, amount)"
        " SELECT tenant_id, transaction_id, 9, account_id, currency, 5 FROM finance_postings",
        "INSERT INTO finance_accounts (id, tenant_id, purpose, owner_id, currency)"
        " VALUES (gen_random_uuid(), kernel_current_tenant(), 'wallet', gen_random_uuid(), 'EUR')",
    ],
)
async def test_the_application_writes_the_ledger_by_its_functions_only(
    platform: TestPlatform, tenant: UUID, as_role: asyncpg.Connection, statement: str
):
    await held_deal(platform, tenant)
    await as_role.execute(f"SET ROLE {APP}")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_role.execute(statement)


async def test_without_a_tenant_nothing_is_posted(
    platform: TestPlatform, tenant: UUID, accounts: UUID, as_role: asyncpg.Connection
):
    await as_role.execute(f"SET ROLE {APP}; SET application_name = 'somebody'")

    with pytest.raises(asyncpg.NotNullViolationError):
        await as_role.execute(
            "SELECT finance_post($1, 'test', 'x', 'EUR', ARRAY['provider_clearing', 'wallet'],"
            " ARRAY[$2::uuid, $3::uuid], ARRAY[-5, 5]::bigint[])",
            new_id(),
            tenant,
            accounts,
        )


async def test_a_tenant_sees_its_own_money_only(platform: TestPlatform, tenant: UUID, as_role: asyncpg.Connection):
    await held_deal(platform, tenant)
    stranger = await platform.tenant()
    await as_role.execute(f"SET ROLE {APP}")
    tables = (*LEDGER, "finance_balances", "finance_escrows", "finance_payments", "finance_sandbox_charges")

    for name, visible in ((tenant, True), (stranger, False)):
        await as_role.execute(f"SET application_name = 'pegboard:{name}'")
        for table in tables:
            assert await as_role.fetchval(f"SELECT EXISTS (SELECT FROM {table})") is visible, table
