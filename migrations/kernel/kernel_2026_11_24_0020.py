"""Single sign-on: tenants' identity providers, identities that accounts are linked to, log-ins that wait."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Single sign-on: providers, identities, flows"

# A provider's secret is in the vault, as `sso.<name>` of the tenant.
PROVIDERS = """
CREATE TABLE kernel_sso_providers (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,39}$'),
    settings jsonb NOT NULL,
    updated_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name)
)
"""

# Who somebody is elsewhere: an issuer and its subject, never an address, which may change hands.
IDENTITIES = """
CREATE TABLE kernel_sso_identities (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    issuer text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 300),
    subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    provider text NOT NULL,
    email text CHECK (length(email) BETWEEN 3 AND 254),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, issuer, subject),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_sso_identities_account ON kernel_sso_identities (tenant_id, account_id, id);
"""

# A log-in on its way: begun (the state waits), claimed (the provider is asked), proven (the code waits), done. Of
# state, cookie and code only digests; what was proven is sealed. PKCE's verifier and the nonce follow from the state
# and a key.
FLOWS = """
CREATE TABLE kernel_sso_flows (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    provider text NOT NULL,
    stage text NOT NULL DEFAULT 'begun' CHECK (stage IN ('begun', 'claimed', 'proven', 'done')),
    account_id uuid,
    session_id uuid,
    state_digest bytea NOT NULL CHECK (octet_length(state_digest) = 32),
    browser_digest bytea CHECK (octet_length(browser_digest) = 32),
    code_challenge text CHECK (code_challenge ~ '^[A-Za-z0-9_-]{43}$'),
    return_to text NOT NULL,
    redirect_uri text NOT NULL,
    code_digest bytea CHECK (octet_length(code_digest) = 32),
    proof bytea,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(browser_digest, code_challenge) = 1),
    CHECK (num_nonnulls(account_id, session_id) IN (0, 2)),
    CHECK ((stage = 'proven') = (proof IS NOT NULL)),
    UNIQUE (tenant_id, state_digest),
    UNIQUE (tenant_id, code_digest),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_sso_flows_account ON kernel_sso_flows (tenant_id, account_id);
CREATE INDEX kernel_sso_flows_expires ON kernel_sso_flows (tenant_id, expires_at);
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            PROVIDERS,
            protect_table("kernel_sso_providers"),
            IDENTITIES,
            protect_table("kernel_sso_identities", privileges="SELECT, INSERT, UPDATE (email, last_used_at), DELETE"),
            FLOWS,
            protect_table("kernel_sso_flows"),
        ),
        backwards=("DROP TABLE kernel_sso_flows, kernel_sso_identities, kernel_sso_providers",),
    )
