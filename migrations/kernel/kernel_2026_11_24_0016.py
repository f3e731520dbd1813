"""Authorization: what tenants decided about roles, rights for a while, segregation of duties, approvals."""

from pegboard_sdk.database import protect_table, sql_migration

ID = "2026-11-24T00:16:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Permission matrix, overrides, segregation of duties, approvals"

# One row for each tenant that decided anything. `version` grows with every decision and says, with the changing
# transaction's id, which tenants a process has to read anew; `matrix_version` is the ETag of the matrix.
VERSIONS = """
CREATE TABLE kernel_authorization_versions (
    tenant_id uuid PRIMARY KEY REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    version bigint NOT NULL DEFAULT 1,
    matrix_version bigint NOT NULL DEFAULT 0,
    changed_xid xid8 NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX kernel_authorization_versions_changed ON kernel_authorization_versions (changed_xid);
"""

ROLES = """
CREATE TABLE kernel_roles (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'
                              AND name NOT IN ('anonymous', 'member', 'administrator', 'operator')),
    summary text NOT NULL CHECK (length(summary) <= 500),
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, name)
)
"""

# What differs from the plugins' defaults. `kernel:*` and the role `operator` are the platform's, whoever writes the
# row; and an administrator always finds a way back in.
EDITS = """
CREATE TABLE kernel_permission_edits (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    role text NOT NULL CHECK (role ~ '^[a-z][a-z0-9_]{0,62}$' AND role <> 'operator'),
    permission text NOT NULL CHECK (permission ~ '^[a-z][a-z0-9_]*:[a-z][a-z0-9_]*[.][a-z][a-z0-9_]*$'
                                    AND NOT starts_with(permission, 'kernel:')),
    granted boolean NOT NULL CHECK (granted OR NOT (role = 'administrator'
        AND permission IN ('account:role.grant', 'account:matrix.read', 'account:matrix.edit'))),
    reason text NOT NULL CHECK (length(reason) <= 500),
    edited_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, role, permission)
)
"""

OVERRIDES = """
CREATE TABLE kernel_overrides (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    role text CHECK (role <> 'operator'),
    permission text CHECK (NOT starts_with(permission, 'kernel:')),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
    granted_by uuid CHECK (granted_by <> account_id),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(role, permission) = 1),
    CHECK (expires_at > created_at),
    FOREIGN KEY (tenant_id, account_id) REFERENCES kernel_accounts (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX kernel_overrides_account ON kernel_overrides (tenant_id, account_id);
CREATE INDEX kernel_overrides_open ON kernel_overrides (tenant_id, expires_at) WHERE ended_at IS NULL;
"""

# `object_type` tells a dynamic rule from a static one.
SEGREGATION = """
CREATE TABLE kernel_segregation_rules (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE CASCADE,
    object_type text CHECK (object_type <> ''),
    first text NOT NULL,
    second text NOT NULL CHECK (second <> first),
    summary text NOT NULL CHECK (length(summary) BETWEEN 1 AND 500),
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (tenant_id, object_type, first, second)
)
"""

# What was asked for can't change, only be decided, once. Nobody decides their own: whoever writes the row.
APPROVALS = """
CREATE TABLE kernel_approvals (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES kernel_tenants (id) ON DELETE RESTRICT,
    kind text NOT NULL,
    permission text NOT NULL,
    object_type text NOT NULL,
    object_id text NOT NULL,
    payload jsonb NOT NULL,
    summary text NOT NULL CHECK (length(summary) BETWEEN 1 AND 500),
    reason text NOT NULL CHECK (length(reason) <= 500),
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'executed', 'rejected', 'withdrawn', 'expired')),
    requested_by uuid,
    expires_at timestamptz NOT NULL,
    decided_by uuid,
    decided_at timestamptz,
    decision_reason text CHECK (length(decision_reason) <= 500),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'pending') = (decided_at IS NULL)),
    CHECK (state NOT IN ('executed', 'rejected') OR decided_by IS NOT NULL AND decided_by IS DISTINCT FROM requested_by)
);
CREATE UNIQUE INDEX kernel_approvals_open ON kernel_approvals (tenant_id, kind, object_type, object_id)
    WHERE state = 'pending';
CREATE INDEX kernel_approvals_newest ON kernel_approvals (tenant_id, id);
CREATE INDEX kernel_approvals_requested ON kernel_approvals (tenant_id, requested_by, id);
CREATE INDEX kernel_approvals_due ON kernel_approvals (tenant_id, expires_at) WHERE state = 'pending';
CREATE FUNCTION kernel_approvals_stay_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'the approval is decided';
END
$$;
CREATE TRIGGER kernel_approvals_decided_once BEFORE UPDATE ON kernel_approvals
    FOR EACH ROW WHEN (OLD.state <> 'pending') EXECUTE FUNCTION kernel_approvals_stay_decided();
"""


async def forwards():
    return sql_migration(
        app="kernel",
        id=ID,
        description=DESCRIPTION,
        forwards=(
            VERSIONS,
            ROLES,
            EDITS,
            OVERRIDES,
            SEGREGATION,
            APPROVALS,
            protect_table("kernel_authorization_versions", privileges="SELECT, INSERT, UPDATE"),
            protect_table("kernel_roles", privileges="SELECT, INSERT, UPDATE (summary), DELETE"),
            protect_table("kernel_permission_edits", privileges="SELECT, INSERT, DELETE"),
            protect_table("kernel_overrides", privileges="SELECT, INSERT, UPDATE (ended_at, ended_by)"),
            protect_table("kernel_segregation_rules", privileges="SELECT, INSERT, DELETE"),
            protect_table(
                "kernel_approvals",
                privileges="SELECT, INSERT, UPDATE (state, decided_by, decided_at, decision_reason)",
            ),
        ),
        backwards=(
            "DROP TABLE kernel_approvals, kernel_segregation_rules, kernel_overrides, kernel_permission_edits,"
            " kernel_roles, kernel_authorization_versions",
            "DROP FUNCTION kernel_approvals_stay_decided()",
        ),
    )
