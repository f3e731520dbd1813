"""Purposes, notices, consents and their history."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:01:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "purposes, notices and consents"

PURPOSES = """
CREATE TABLE governance_purposes (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    slug text NOT NULL CHECK (slug ~ '^[a-z][a-z0-9_]{1,62}$'),
    title text NOT NULL,
    notice_version integer NOT NULL CHECK (notice_version > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, slug)
)
"""

NOTICES = """
CREATE TABLE governance_notices (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    purpose_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, purpose_id, version),
    FOREIGN KEY (tenant_id, purpose_id) REFERENCES governance_purposes (tenant_id, id) ON DELETE RESTRICT
)
"""

# A consent names a notice that exists: the foreign key leads to the notice that was shown.
CONSENTS = """
CREATE TABLE governance_consents (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    purpose_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('given', 'withdrawn')),
    notice_version integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, account_id, purpose_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE RESTRICT,
    FOREIGN KEY (tenant_id, purpose_id, notice_version)
        REFERENCES governance_notices (tenant_id, purpose_id, version) ON DELETE RESTRICT
);
CREATE INDEX governance_consents_purpose ON governance_consents (tenant_id, purpose_id, notice_version);
"""

RECORDS = """
CREATE TABLE governance_consent_records (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    purpose_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN ('given', 'withdrawn')),
    notice_version integer NOT NULL,
    request_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE RESTRICT,
    FOREIGN KEY (tenant_id, purpose_id, notice_version)
        REFERENCES governance_notices (tenant_id, purpose_id, version) ON DELETE RESTRICT
);
CREATE INDEX governance_consent_records_account
    ON governance_consent_records (tenant_id, account_id, created_at DESC, id DESC);
CREATE INDEX governance_consent_records_purpose
    ON governance_consent_records (tenant_id, purpose_id, notice_version);
"""

# Proof of consent must not be rewritten, by whomever.
APPEND_ONLY = """
CREATE FUNCTION governance_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'PB409';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON governance_consent_records
    FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON governance_notices
    FOR EACH STATEMENT EXECUTE FUNCTION governance_refuse_change();
"""


async def forwards():
    return sql_migration(
        app="governance",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            PURPOSES,
            NOTICES,
            CONSENTS,
            RECORDS,
            APPEND_ONLY,
            protect_table("governance_purposes", privileges="SELECT, INSERT, UPDATE"),
            protect_table("governance_notices", privileges="SELECT, INSERT"),
            protect_table("governance_consents", privileges="SELECT, INSERT, UPDATE"),
            protect_table("governance_consent_records", privileges="SELECT, INSERT"),
        ),
        backwards=(
            "DROP TABLE governance_consent_records",
            "DROP TABLE governance_consents",
            "DROP TABLE governance_notices",
            "DROP TABLE governance_purposes",
            "DROP FUNCTION governance_refuse_change()",
        ),
    )
