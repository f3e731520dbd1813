"""Second factors: authenticator apps, recovery codes, passkeys, trusted devices; what roles ask for; attempts."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:28:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Second factors, trusted devices, attempts to log in"

# An account has one that is confirmed, and while it sets up another one more. `last_step` is the step of the last code
# that was taken: no code is taken twice.
TOTP = """
CREATE TABLE kernel_totp_seeds (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    key_id text NOT NULL,
    envelope bytea NOT NULL,
    last_step bigint NOT NULL DEFAULT 0,
    confirmed_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX kernel_totp_seeds_one ON kernel_totp_seeds (tenant_id, account_id, (confirmed_at IS NULL));
CREATE INDEX kernel_totp_seeds_key ON kernel_totp_seeds (key_id);
"""

# Digests in envelopes: who reads the database learns nothing without the master key, and changing that key keeps them.
RECOVERY = """
CREATE TABLE kernel_recovery_codes (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    key_id text NOT NULL,
    envelope bytea NOT NULL,
    used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_recovery_codes_account ON kernel_recovery_codes (tenant_id, account_id);
CREATE INDEX kernel_recovery_codes_key ON kernel_recovery_codes (key_id);
"""

PASSKEYS = """
CREATE TABLE kernel_passkeys (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    label text NOT NULL CHECK (length(label) BETWEEN 1 AND 100),
    credential_id bytea NOT NULL CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    transports text[] NOT NULL DEFAULT '{}',
    backed_up boolean NOT NULL,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, credential_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_passkeys_account ON kernel_passkeys (tenant_id, account_id);
"""

# Only SHA-256 digests: a token is 256 random bits.
DEVICES = """
CREATE TABLE kernel_trusted_devices (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    user_agent text NOT NULL CHECK (length(user_agent) <= 300),
    ip text NOT NULL CHECK (length(ip) <= 45),
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, digest),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_trusted_devices_account ON kernel_trusted_devices (tenant_id, account_id);
CREATE INDEX kernel_trusted_devices_expires ON kernel_trusted_devices (tenant_id, expires_at);
"""

REQUIREMENTS = """
CREATE TABLE kernel_factor_requirements (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    role text NOT NULL CHECK (role ~ '^[a-z][a-z0-9_]{0,62}$' AND role <> 'anonymous'),
    grace_days integer NOT NULL CHECK (grace_days BETWEEN 0 AND 365),
    set_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, role)
)
"""

# `subject` is a keyed digest of an address, alone or with the network or device that tries: it tells nobody who. Rows
# are there for addresses without an account too.
ATTEMPTS = """
CREATE TABLE kernel_attempts (
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    subject bytea NOT NULL CHECK (octet_length(subject) = 32),
    failures integer NOT NULL,
    locked_until timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject)
);
CREATE INDEX kernel_attempts_last ON kernel_attempts (tenant_id, last_at);
"""

# What was answered once is not answered again while it would still be good.
CHALLENGES = """
CREATE TABLE kernel_used_challenges (
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    nonce bytea NOT NULL CHECK (octet_length(nonce) = 16),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, nonce)
);
CREATE INDEX kernel_used_challenges_expires ON kernel_used_challenges (tenant_id, expires_at);
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            TOTP,
            RECOVERY,
            PASSKEYS,
            DEVICES,
            REQUIREMENTS,
            ATTEMPTS,
            CHALLENGES,
            protect_table("kernel_totp_seeds"),
            protect_table("kernel_recovery_codes"),
            protect_table("kernel_passkeys"),
            protect_table("kernel_trusted_devices"),
            protect_table("kernel_factor_requirements"),
            protect_table("kernel_attempts"),
            protect_table("kernel_used_challenges", privileges="SELECT, INSERT, DELETE"),
        ),
        backwards=(
            "DROP TABLE kernel_used_challenges, kernel_attempts, kernel_factor_requirements, kernel_trusted_devices,"
            " kernel_passkeys, kernel_recovery_codes, kernel_totp_seeds",
        ),
    )
