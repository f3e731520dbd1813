"""The tables of second factors, as Piccolo sees them; their queries are SQL, in the modules that own them."""

from piccolo.columns import UUID, Array, BigInt, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.table import Table

__all__ = (
    "TABLES",
    "KernelAttempt",
    "KernelFactorRequirement",
    "KernelPasskey",
    "KernelRecoveryCode",
    "KernelTotpSeed",
    "KernelTrustedDevice",
    "KernelUsedChallenge",
)


class KernelTotpSeed(Table, tablename="kernel_totp_seeds"):
    """The seed of an authenticator app, in an envelope of the vault; not confirmed: it is being set up."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    key_id = Text(null=False, default=None)
    envelope = Bytea(null=False, default=None, secret=True)
    last_step = BigInt(null=False, default=0)
    confirmed_at = Timestamptz(null=True, default=None)
    last_used_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelRecoveryCode(Table, tablename="kernel_recovery_codes"):
    """A recovery code's digest, in an envelope of the vault."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    key_id = Text(null=False, default=None)
    envelope = Bytea(null=False, default=None, secret=True)
    used_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelPasskey(Table, tablename="kernel_passkeys"):
    """A passkey's public half, and how often its authenticator says that it signed."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    label = Text(null=False, default=None)
    credential_id = Bytea(null=False, default=None)
    public_key = Bytea(null=False, default=None)
    sign_count = BigInt(null=False, default=None)
    transports = Array(Text(), null=False, default=list)
    backed_up = Boolean(null=False, default=None)
    last_used_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelTrustedDevice(Table, tablename="kernel_trusted_devices"):
    """A device that is not asked for a second factor, by the digest of what it holds."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    account_id = UUID(null=False, default=None)
    digest = Bytea(null=False, default=None)
    user_agent = Text(null=False, default=None)
    ip = Text(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)
    last_used_at = Timestamptz(null=False, default=TimestamptzNow())
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelFactorRequirement(Table, tablename="kernel_factor_requirements"):
    """Accounts with the role need a second factor, from `grace_days` after they got it on."""

    id = UUID(primary_key=True, default=None)
    tenant_id = UUID(null=False, default=None)
    role = Text(null=False, default=None)
    grace_days = Integer(null=False, default=None)
    set_by = UUID(null=True, default=None)
    created_at = Timestamptz(null=False, default=TimestamptzNow())
    updated_at = Timestamptz(null=False, default=TimestamptzNow())


class KernelAttempt(Table, tablename="kernel_attempts"):
    """How often logging in failed, by a digest of the address, alone or with where it was tried from."""

    tenant_id = UUID(primary_key=True, default=None)
    subject = Bytea(null=False, default=None)
    failures = Integer(null=False, default=None)
    locked_until = Timestamptz(null=False, default=None)
    last_at = Timestamptz(null=False, default=None)


class KernelUsedChallenge(Table, tablename="kernel_used_challenges"):
    """A challenge that was answered."""

    tenant_id = UUID(primary_key=True, default=None)
    nonce = Bytea(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)


TABLES: tuple[type[Table], ...] = (
    KernelTotpSeed,
    KernelRecoveryCode,
    KernelPasskey,
    KernelTrustedDevice,
    KernelFactorRequirement,
    KernelAttempt,
    KernelUsedChallenge,
)
