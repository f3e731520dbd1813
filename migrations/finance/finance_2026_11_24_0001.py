"""The double-entry ledger. Its tables defend themselves: whoever writes, an entry is balanced, complete and final."""

from pegboard_sdk.database import protect_table, sql_migration, system_function

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "The ledger: accounts, balances, journal entries and postings."

APPEND_ONLY = ("finance_accounts", "finance_transactions", "finance_postings")

# The platform's own accounts are owned by the tenant: an owner that may be NULL would be in the way of the unique key
# and of finding the account by it. There is no foreign key to people: the ledger outlives their accounts.
ACCOUNTS = """
CREATE TABLE finance_accounts (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    purpose text NOT NULL,
    kind text NOT NULL GENERATED ALWAYS AS (
        CASE purpose
            WHEN 'wallet' THEN 'liability'
            WHEN 'escrow' THEN 'liability'
            WHEN 'refunds' THEN 'liability'
            WHEN 'platform_fees' THEN 'revenue'
            WHEN 'provider_clearing' THEN 'asset'
        END
    ) STORED,
    owner_id uuid NOT NULL,
    currency varchar(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, id, currency),
    UNIQUE (tenant_id, purpose, owner_id, currency),
    CHECK ((purpose IN ('wallet', 'escrow')) = (owner_id <> tenant_id))
)
"""

# Only accounts that hold people's money have a running balance, and so a row to lock. The platform's own accounts are
# in almost every entry: a row for them would make all entries wait for each other. Theirs are summed from the postings.
BALANCES = """
CREATE TABLE finance_balances (
    account_id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    amount bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, account_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES finance_accounts (tenant_id, id) ON DELETE RESTRICT,
    CONSTRAINT finance_balances_not_negative CHECK (amount >= 0)
) WITH (fillfactor = 60)
"""

# Every entry pays for what is declared on it and on postings: PostgreSQL reads a CHECK constraint's text anew for each
# statement, which costs as much as an index does. There are none here; the trigger below checks the postings.
TRANSACTIONS = """
CREATE TABLE finance_transactions (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kind, reference)
)
"""

# The primary key is the natural one: the entry's UUIDv7 keeps inserts at the index's right edge, and can partition the
# table.
POSTINGS = """
CREATE TABLE finance_postings (
    tenant_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    position smallint NOT NULL,
    account_id uuid NOT NULL,
    currency varchar(3) NOT NULL,
    amount bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, transaction_id, position),
    FOREIGN KEY (tenant_id, transaction_id) REFERENCES finance_transactions (tenant_id, id) ON DELETE RESTRICT,
    FOREIGN KEY (tenant_id, account_id, currency) REFERENCES finance_accounts (tenant_id, id, currency)
        ON DELETE RESTRICT
)
"""
POSTINGS_BY_ACCOUNT = """
CREATE INDEX finance_postings_account ON finance_postings (tenant_id, account_id, transaction_id, position)
"""

OPEN_BALANCE = """
CREATE FUNCTION finance_open_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO finance_balances (account_id, tenant_id) VALUES (NEW.id, NEW.tenant_id);
    RETURN NULL;
END
$$
"""
OPEN_BALANCE_TRIGGER = """
CREATE TRIGGER finance_accounts_balance AFTER INSERT ON finance_accounts
FOR EACH ROW WHEN (NEW.purpose IN ('wallet', 'escrow')) EXECUTE FUNCTION finance_open_balance()
"""

# An entry's postings come in one statement: it must bring the positions 1 to n, and the primary key lets position 1
# exist once, so nothing can be added to an entry later and no look at the table is needed. Accounts are taken in the
# order of their ids, so that entries that share accounts wait for each other and don't deadlock.
SETTLE = """
CREATE FUNCTION finance_settle_postings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    line record;
    entry uuid;
    entry_currency varchar;
    lines integer := 0;
    last integer := 0;
    total bigint := 0;
BEGIN
    FOR line IN
        SELECT transaction_id, position, account_id, currency, amount FROM posted ORDER BY account_id
    LOOP
        IF lines = 0 THEN
            entry := line.transaction_id;
            entry_currency := line.currency;
        ELSIF line.transaction_id <> entry OR line.currency <> entry_currency THEN
            RAISE EXCEPTION 'a statement inserts the postings of one journal entry, in one currency'
            USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF line.position < 1 OR line.amount = 0 THEN
            RAISE EXCEPTION 'a posting has a position from 1 and an amount other than 0'
            USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        lines := lines + 1;
        last := greatest(last, line.position);
        total := total + line.amount;
        UPDATE finance_balances AS b SET amount = b.amount + line.amount, updated_at = now()
        WHERE b.account_id = line.account_id;
    END LOOP;
    IF last <> lines THEN
        RAISE EXCEPTION 'the postings of a journal entry are numbered from 1, and one statement inserts them all'
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF total <> 0 THEN
        RAISE EXCEPTION 'the postings of journal entry % sum to %, not to zero', entry, total
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
"""
SETTLE_TRIGGER = """
CREATE TRIGGER finance_postings_settle AFTER INSERT ON finance_postings REFERENCING NEW TABLE AS posted
FOR EACH STATEMENT EXECUTE FUNCTION finance_settle_postings()
"""

# An entry without postings would hold its reference for ever and move nothing.
REQUIRE_POSTINGS = """
CREATE FUNCTION finance_require_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM finance_postings WHERE tenant_id = NEW.tenant_id AND transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'journal entry % has no postings', NEW.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
"""
REQUIRE_POSTINGS_TRIGGER = """
CREATE CONSTRAINT TRIGGER finance_transactions_not_empty AFTER INSERT ON finance_transactions
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION finance_require_postings()
"""

REFUSE = """
CREATE FUNCTION finance_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: post a correcting entry', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$
"""


def refuse_changes(table: str) -> str:
    """A trigger that stops everybody, the owner too."""
    return (
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION finance_refuse_change()"
    )


OPEN_ACCOUNTS = """
CREATE FUNCTION finance_open_accounts(ids uuid[], purposes text[], owners uuid[], account_currency text)
RETURNS void LANGUAGE sql AS $$
    INSERT INTO finance_accounts (id, tenant_id, purpose, owner_id, currency)
    SELECT wanted.id, kernel_current_tenant(), wanted.purpose, wanted.owner_id, account_currency
    FROM unnest(ids, purposes, owners) AS wanted (id, purpose, owner_id)
    ORDER BY wanted.purpose, wanted.owner_id
    ON CONFLICT (tenant_id, purpose, owner_id, currency) DO NOTHING
$$
"""

# The one way to move money: the application may call it, and may not insert rows. It gives 'posted'; or, when an entry
# of this kind and reference is there already, 'repeated' if it is the same and 'different' if not. Balances are touched
# last, by the trigger on postings, so that they are locked for as short as can be.
POST = """
CREATE FUNCTION finance_post(
    entry_id uuid, entry_kind text, entry_reference text, entry_currency text,
    purposes text[], owners uuid[], amounts bigint[]
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    tenant CONSTANT uuid := kernel_current_tenant();
BEGIN
    INSERT INTO finance_transactions (id, tenant_id, kind, reference)
    VALUES (entry_id, tenant, entry_kind, entry_reference)
    ON CONFLICT (tenant_id, kind, reference) DO NOTHING;
    IF NOT FOUND THEN
        RETURN finance_compare(tenant, entry_kind, entry_reference, entry_currency, purposes, owners, amounts);
    END IF;
    INSERT INTO finance_postings (tenant_id, transaction_id, position, account_id, currency, amount)
    SELECT
        tenant, entry_id, line.position,
        (
            SELECT account.id FROM finance_accounts AS account
            WHERE account.tenant_id = tenant AND account.purpose = line.purpose
                AND account.owner_id = line.owner_id AND account.currency = entry_currency
        ),
        entry_currency, line.amount
    FROM unnest(purposes, owners, amounts) WITH ORDINALITY AS line (purpose, owner_id, amount, position);
    RETURN 'posted';
END
$$
"""
POST_SIGNATURE = "finance_post(uuid, text, text, text, text[], uuid[], bigint[])"

COMPARE = """
CREATE FUNCTION finance_compare(
    tenant uuid, entry_kind text, entry_reference text, entry_currency text,
    purposes text[], owners uuid[], amounts bigint[]
) RETURNS text LANGUAGE sql STABLE AS $$
    WITH wanted AS (
        SELECT line.position::smallint, line.purpose, line.owner_id, line.amount, entry_currency::varchar AS currency
        FROM unnest(purposes, owners, amounts) WITH ORDINALITY AS line (purpose, owner_id, amount, position)
    ), found AS (
        SELECT posting.position, account.purpose, account.owner_id, posting.amount, posting.currency
        FROM finance_transactions AS entry
        JOIN finance_postings AS posting ON (posting.tenant_id, posting.transaction_id) = (entry.tenant_id, entry.id)
        JOIN finance_accounts AS account ON (account.tenant_id, account.id) = (posting.tenant_id, posting.account_id)
        WHERE entry.tenant_id = tenant
            AND entry.kind = entry_kind AND entry.reference = entry_reference
    )
    SELECT CASE WHEN EXISTS ((TABLE wanted EXCEPT TABLE found) UNION ALL (TABLE found EXCEPT TABLE wanted))
        THEN 'different' ELSE 'repeated' END
$$
"""

# PostgreSQL takes the arrays for longer than they are and would plan the statements anew at each call, for a third of
# the call's time.
GENERIC_PLANS = f"ALTER FUNCTION {POST_SIGNATURE} SET plan_cache_mode = force_generic_plan"

FORWARDS = (
    ACCOUNTS, BALANCES, TRANSACTIONS, POSTINGS, POSTINGS_BY_ACCOUNT,
    OPEN_BALANCE, OPEN_BALANCE_TRIGGER, SETTLE, SETTLE_TRIGGER, REQUIRE_POSTINGS, REQUIRE_POSTINGS_TRIGGER,
    REFUSE, *(refuse_changes(table) for table in APPEND_ONLY), OPEN_ACCOUNTS, COMPARE, POST, GENERIC_PLANS,
    system_function("finance_open_balance()"),
    system_function("finance_settle_postings()"),
    system_function("finance_open_accounts(uuid[], text[], uuid[], text)"),
    system_function(POST_SIGNATURE),
    *(protect_table(table, privileges="SELECT") for table in (*APPEND_ONLY, "finance_balances")),
    # The trigger on postings sets updated_at itself.
    "DROP TRIGGER touch_updated_at ON finance_balances",
    f"REVOKE UPDATE, DELETE, TRUNCATE ON {', '.join(APPEND_ONLY)} FROM pegboard_system",
)  # fmt: skip

BACKWARDS = (
    f"DROP FUNCTION {POST_SIGNATURE}",
    "DROP FUNCTION finance_compare(uuid, text, text, text, text[], uuid[], bigint[])",
    "DROP FUNCTION finance_open_accounts(uuid[], text[], uuid[], text)",
    "DROP TABLE finance_postings, finance_transactions, finance_balances, finance_accounts",
    "DROP FUNCTION finance_settle_postings()",
    "DROP FUNCTION finance_open_balance()",
    "DROP FUNCTION finance_require_postings()",
    "DROP FUNCTION finance_refuse_change()",
)


async def forwards():
    """Make the ledger."""
    return sql_migration(app="finance", id=ID, description=DESCRIPTION, forwards=FORWARDS, backwards=BACKWARDS)
