"""Identity: accounts, roles, sessions, refresh tokens and the keys that sign access tokens."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:02:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Accounts, role grants, sessions, refresh tokens, signing keys"

# The e-mail index is on lower(email), so `Ada@example.com` and `ada@example.com` are one account. Without a password
# hash an account can't log in by password (accounts that only ever log in elsewhere).
ACCOUNTS = """
CREATE TABLE kernel_accounts (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    password_hash text,
    display_name text NOT NULL CHECK (length(display_name) BETWEEN 1 AND 100),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id)
);
CREATE UNIQUE INDEX kernel_accounts_email ON kernel_accounts (tenant_id, lower(email));
"""

ROLE_GRANTS = """
CREATE TABLE kernel_role_grants (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    role text NOT NULL CHECK (role ~ '^[a-z][a-z0-9_]*$'),
    granted_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, account_id, role),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_role_grants_role ON kernel_role_grants (tenant_id, role);
"""

# A session is a family of refresh tokens. `revoked_xid` is the revoking transaction's id: the revocation feed asks for
# "everything since the oldest transaction that I couldn't see", which no clock and no slow commit can make it miss. It
# can't see a row that is gone, so an account with sessions isn't deleted: they are revoked, and removed when they are
# old. The two partial indexes are the feed's; it reads all tenants, so they don't lead with the tenant.
SESSIONS = """
CREATE TABLE kernel_sessions (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text,
    revoked_xid xid8,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    CHECK (num_nulls(revoked_at, revoked_reason, revoked_xid) IN (0, 3)),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX kernel_sessions_account ON kernel_sessions (tenant_id, account_id);
CREATE INDEX kernel_sessions_expires ON kernel_sessions (tenant_id, expires_at);
CREATE INDEX kernel_sessions_revoked_at ON kernel_sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX kernel_sessions_revoked_xid ON kernel_sessions (revoked_xid) WHERE revoked_xid IS NOT NULL;
"""

# Only SHA-256 digests: a token is 256 random bits, so its digest can't be turned back. A token has at most one child.
# Rows go when their time is over, children later than their parents.
REFRESH_TOKENS = """
CREATE TABLE kernel_refresh_tokens (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    session_id uuid NOT NULL,
    parent_id uuid,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, digest),
    UNIQUE (tenant_id, parent_id),
    FOREIGN KEY (tenant_id, session_id) REFERENCES kernel_sessions (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, parent_id) REFERENCES kernel_refresh_tokens (tenant_id, id) ON DELETE SET NULL (parent_id)
);
CREATE INDEX kernel_refresh_tokens_session ON kernel_refresh_tokens (tenant_id, session_id);
CREATE INDEX kernel_refresh_tokens_expires ON kernel_refresh_tokens (tenant_id, expires_at);
"""

# The platform's, not a tenant's: the application's role has no business here.
SIGNING_KEYS = """
CREATE TABLE kernel_signing_keys (
    id uuid PRIMARY KEY,
    kid text NOT NULL UNIQUE,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    private_key bytea NOT NULL,
    key_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
);
REVOKE ALL ON kernel_signing_keys FROM PUBLIC, pegboard_app;
GRANT SELECT, INSERT, UPDATE ON kernel_signing_keys TO pegboard_system;
"""

# Every write of a logged-in principal calls this in its first statement. It runs as the caller, so row-level security
# applies: a session of another tenant is as good as none. STABLE, so it uses the snapshot of the statement that calls
# it instead of taking its own.
REQUIRE_SESSION = """
CREATE FUNCTION kernel_require_session(session uuid) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM kernel_sessions WHERE id = session AND revoked_at IS NULL AND expires_at > now()
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'PB401', MESSAGE = 'the session has ended';
    END IF;
END
$$;
GRANT EXECUTE ON FUNCTION kernel_require_session(uuid) TO pegboard_app, pegboard_system;
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            ACCOUNTS,
            ROLE_GRANTS,
            SESSIONS,
            REFRESH_TOKENS,
            SIGNING_KEYS,
            REQUIRE_SESSION,
            protect_table("kernel_accounts", privileges="SELECT, INSERT, UPDATE"),
            protect_table("kernel_role_grants", privileges="SELECT, INSERT, DELETE"),
            protect_table("kernel_sessions", privileges="SELECT, INSERT, UPDATE, DELETE"),
            protect_table("kernel_refresh_tokens", privileges="SELECT, INSERT, UPDATE, DELETE"),
        ),
        backwards=(
            "DROP FUNCTION kernel_require_session(uuid)",
            "DROP TABLE kernel_refresh_tokens, kernel_sessions, kernel_role_grants, kernel_accounts",
            "DROP TABLE kernel_signing_keys",
        ),
    )
