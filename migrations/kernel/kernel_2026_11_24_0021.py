"""Tenants that operators manage, their host names, and organisations inside a tenant."""

from pegboard_sdk.database import protect_table, sql_migration, system_function

ID = "2026-11-24T00:21:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Tenants' state and host names; organisations, members, invitations"

# `changed_xid` says which tenants a process has to read anew. The trigger writes it, whoever changes the row.
TENANTS = """
ALTER TABLE kernel_tenants
    ADD COLUMN status text NOT NULL DEFAULT 'active'
        CONSTRAINT kernel_tenants_status CHECK (status IN ('active', 'suspended')),
    ADD COLUMN status_reason text NOT NULL DEFAULT ''
        CONSTRAINT kernel_tenants_status_reason CHECK (length(status_reason) <= 500),
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX kernel_tenants_changed ON kernel_tenants (changed_xid);
CREATE INDEX kernel_tenants_suspended ON kernel_tenants (id) WHERE status = 'suspended';
CREATE FUNCTION kernel_tenants_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.changed_xid := pg_current_xact_id();
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
CREATE TRIGGER kernel_tenants_changed BEFORE UPDATE ON kernel_tenants
    FOR EACH ROW EXECUTE FUNCTION kernel_tenants_change();
"""

# A host name leads to one tenant of the whole platform, so its key can't include the tenant; the column is not named
# tenant_id, and the application's role may not use the table at all: no tenant learns of another's names here.
HOSTS = """
CREATE TABLE kernel_tenant_hosts (
    host text PRIMARY KEY CHECK (host ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$'
                                 AND length(host) <= 253),
    tenant uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    canonical boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX kernel_tenant_hosts_tenant ON kernel_tenant_hosts (tenant);
CREATE UNIQUE INDEX kernel_tenant_hosts_canonical ON kernel_tenant_hosts (tenant) WHERE canonical;
"""

# What a tenant may know of the names: its own canonical one, for the links in its messages.
CANONICAL_HOST = """
CREATE FUNCTION kernel_canonical_host() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT host FROM kernel_tenant_hosts WHERE tenant = (SELECT kernel_current_tenant()) AND canonical
$$
"""

# A write of a suspended tenant is refused where its session is checked: in the transaction's first statement.
REQUIRE_SESSION = """
CREATE OR REPLACE FUNCTION kernel_require_session(session uuid) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    found text;
BEGIN
    SELECT t.status INTO found FROM kernel_sessions s JOIN kernel_tenants t ON t.id = s.tenant_id
    WHERE s.id = session AND s.revoked_at IS NULL AND s.expires_at > now();
    IF found IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'PB401', MESSAGE = 'the session has ended';
    END IF;
    IF found <> 'active' THEN
        RAISE EXCEPTION USING ERRCODE = 'PB403', MESSAGE = 'the tenant is suspended';
    END IF;
END
$$;
"""
REQUIRE_SESSION_BEFORE = """
CREATE OR REPLACE FUNCTION kernel_require_session(session uuid) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM kernel_sessions WHERE id = session AND revoked_at IS NULL AND expires_at > now()
    ) THEN
        RAISE EXCEPTION USING ERRCODE = 'PB401', MESSAGE = 'the session has ended';
    END IF;
END
$$;
"""

ORGANISATIONS = """
CREATE TABLE kernel_organisations (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    type text NOT NULL CHECK (type IN ('agency', 'company')),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    description text NOT NULL DEFAULT '' CHECK (length(description) <= 2000),
    website text NOT NULL DEFAULT '' CHECK (length(website) <= 300),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'deleted')),
    version bigint NOT NULL DEFAULT 1,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id)
);
CREATE INDEX kernel_organisations_newest ON kernel_organisations (tenant_id, id) WHERE status <> 'deleted';
CREATE TABLE kernel_organisation_members (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    organisation_id uuid NOT NULL,
    account_id uuid NOT NULL,
    role text NOT NULL CHECK (role ~ '^[a-z][a-z0-9_]{0,49}$'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, organisation_id, account_id),
    FOREIGN KEY (tenant_id, organisation_id) REFERENCES kernel_organisations (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_organisation_members_account ON kernel_organisation_members (tenant_id, account_id, id);
"""

# Of the token only the SHA-256 digest: it is 256 random bits. One open invitation for each address.
INVITATIONS = """
CREATE TABLE kernel_organisation_invitations (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    organisation_id uuid NOT NULL,
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    role text NOT NULL CHECK (role ~ '^[a-z][a-z0-9_]{0,49}$'),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'declined', 'revoked')),
    sent integer NOT NULL DEFAULT 1 CHECK (sent > 0),
    invited_by uuid,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, digest),
    FOREIGN KEY (tenant_id, organisation_id) REFERENCES kernel_organisations (tenant_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX kernel_organisation_invitations_open
    ON kernel_organisation_invitations (tenant_id, organisation_id, lower(email)) WHERE state = 'open';
CREATE INDEX kernel_organisation_invitations_newest ON kernel_organisation_invitations (tenant_id, organisation_id, id);
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            TENANTS,
            HOSTS,
            CANONICAL_HOST,
            system_function("kernel_canonical_host()"),
            REQUIRE_SESSION,
            ORGANISATIONS,
            INVITATIONS,
            protect_table("kernel_organisations", privileges="SELECT, INSERT, UPDATE"),
            protect_table("kernel_organisation_members", privileges="SELECT, INSERT, UPDATE (role), DELETE"),
            protect_table(
                "kernel_organisation_invitations",
                privileges="SELECT, INSERT, UPDATE (role, digest, state, sent, expires_at)",
            ),
        ),
        backwards=(
            "DROP TABLE kernel_organisation_invitations, kernel_organisation_members, kernel_organisations",
            REQUIRE_SESSION_BEFORE,
            "DROP FUNCTION kernel_canonical_host()",
            "DROP TABLE kernel_tenant_hosts",
            "DROP TRIGGER kernel_tenants_changed ON kernel_tenants",
            "DROP FUNCTION kernel_tenants_change()",
            "ALTER TABLE kernel_tenants DROP COLUMN status, DROP COLUMN status_reason, DROP COLUMN version,"
            " DROP COLUMN changed_xid, DROP COLUMN updated_at",
        ),
    )
