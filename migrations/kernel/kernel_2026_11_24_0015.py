"""Sessions say what they are and how their owner was proven; mailed tokens that are good for one use."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:15:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Sessions: kinds, devices, proofs; one-time tokens"

# Whatever authenticates is a session: a log-in, an API key, a client's grant. So all of them end the same way. What
# never expires has `expires_at` = infinity. `authenticated_at` and `methods` (RFC 8176's names) are the last proof of
# who it is; `created_at` is the proof of sessions that were opened before this. The owner sees no rows of a table under
# forced row-level security, so it is lifted for the update, within the transaction.
SESSIONS = """
ALTER TABLE kernel_sessions
    ADD COLUMN kind text NOT NULL DEFAULT 'log_in'
        CONSTRAINT kernel_sessions_kind CHECK (kind IN ('log_in', 'api_key', 'client')),
    ADD COLUMN label text NOT NULL DEFAULT '' CONSTRAINT kernel_sessions_label CHECK (length(label) <= 200),
    ADD COLUMN user_agent text NOT NULL DEFAULT ''
        CONSTRAINT kernel_sessions_user_agent CHECK (length(user_agent) <= 300),
    ADD COLUMN ip text NOT NULL DEFAULT '' CONSTRAINT kernel_sessions_ip CHECK (length(ip) <= 45),
    ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN authenticated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN methods text[] NOT NULL DEFAULT '{}';
ALTER TABLE kernel_sessions NO FORCE ROW LEVEL SECURITY;
UPDATE kernel_sessions SET last_used_at = updated_at, authenticated_at = created_at;
ALTER TABLE kernel_sessions FORCE ROW LEVEL SECURITY;
"""

# Accounts that are there were trusted with their address so far, so they count as verified.
VERIFIED = """
ALTER TABLE kernel_accounts ADD COLUMN email_verified_at timestamptz;
ALTER TABLE kernel_accounts NO FORCE ROW LEVEL SECURITY;
UPDATE kernel_accounts SET email_verified_at = created_at;
ALTER TABLE kernel_accounts FORCE ROW LEVEL SECURITY;
"""

# Only SHA-256 digests: a token is 256 random bits. `email` is the address that the token was sent to: where the
# account's has changed since, the token proves nothing any more. A registration's password and name wait here until the
# address is proven: whoever registers somebody else's address must not choose the password that it ends up with.
ONE_TIME_TOKENS = """
CREATE TABLE kernel_one_time_tokens (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password', 'change_email')),
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    password_hash text,
    display_name text CHECK (length(display_name) BETWEEN 1 AND 100),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, digest),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_one_time_tokens_account ON kernel_one_time_tokens (tenant_id, account_id, purpose);
CREATE INDEX kernel_one_time_tokens_expires ON kernel_one_time_tokens (tenant_id, expires_at);
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            SESSIONS,
            VERIFIED,
            ONE_TIME_TOKENS,
            protect_table("kernel_one_time_tokens", privileges="SELECT, INSERT, UPDATE, DELETE"),
        ),
        backwards=(
            "DROP TABLE kernel_one_time_tokens",
            "ALTER TABLE kernel_accounts DROP COLUMN email_verified_at",
            "ALTER TABLE kernel_sessions DROP COLUMN kind, DROP COLUMN label, DROP COLUMN user_agent, DROP COLUMN ip,"
            " DROP COLUMN last_used_at, DROP COLUMN authenticated_at, DROP COLUMN methods",
        ),
    )
