"""Governance's tables; their queries are SQL, in the repository."""

from piccolo.columns import UUID, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = ("TABLES", "GovernanceConsent", "GovernanceConsentRecord", "GovernanceNotice", "GovernancePurpose")


class GovernancePurpose(Table, tablename="governance_purposes"):
    """Something that data is processed for."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    slug = Text(null=False, default=None)
    title = Text(null=False, default=None)
    notice_version = Integer(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class GovernanceNotice(Table, tablename="governance_notices"):
    """A version of what people are told about a purpose."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    purpose_id = UUID(null=False, default=None)
    version = Integer(null=False, default=None)
    text = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


class GovernanceConsent(Table, tablename="governance_consents"):
    """Where somebody stands on a purpose now."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    purpose_id = UUID(null=False, default=None)
    state = Text(null=False, default=None)
    notice_version = Integer(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class GovernanceConsentRecord(Table, tablename="governance_consent_records"):
    """One change of a consent."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    purpose_id = UUID(null=False, default=None)
    state = Text(null=False, default=None)
    notice_version = Integer(null=False, default=None)
    request_id = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())


TABLES: tuple[type[Table], ...] = (GovernancePurpose, GovernanceNotice, GovernanceConsent, GovernanceConsentRecord)
