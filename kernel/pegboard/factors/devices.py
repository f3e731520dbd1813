"""Trusted devices: where somebody has proved a second factor and wants not to be asked for it again for a while.

A device holds a random token; only its digest is stored. It takes the place of the second factor at a log-in, and of
nothing else: a step-up asks for one all the same. Another password ends the trust in all of them.
"""

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.errors import NotFound
from pegboard_sdk.ids import new_id

from pegboard.audit.writer import insert_entry
from pegboard.factors.permissions import FACTOR_MANAGE
from pegboard.factors.schemas import TrustedDevice
from pegboard.identity.devices import Device

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("TRUSTED_DEVICE", "TrustedDevices")

TRUSTED_DEVICE = "trusted_device"
"""Stands among a session's methods where a device took the second factor's place."""

_PREFIX = "pgd_"
_MOST = 20
"""Devices of an account: the one that was longest not used gives way."""


class TrustedDevices:
    """Over one unit of work."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._tenant = work.tenant_id

    async def remember(self, account_id: UUID, device: Device) -> str | None:
        """Trust `device` from now on; what it has to hold. None where `auth.trusted_device_days` is 0."""
        days = self._work.runtime.config.auth.trusted_device_days
        if not days:
            return None
        token = _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        device_id = new_id()
        await self._work.execute(
            """
            DELETE FROM kernel_trusted_devices WHERE tenant_id = $1 AND id IN (
                SELECT id FROM kernel_trusted_devices WHERE tenant_id = $1 AND account_id = $2
                ORDER BY last_used_at DESC OFFSET $3
            )
            """,
            self._tenant,
            account_id,
            _MOST - 1,
        )
        await self._work.execute(
            """
            INSERT INTO kernel_trusted_devices (id, tenant_id, account_id, digest, user_agent, ip, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(days => $7))
            """,
            device_id,
            self._tenant,
            account_id,
            _digest(token),
            device.user_agent,
            device.ip,
            days,
        )
        return token

    async def of_address(self, device: Device, email: str) -> UUID | None:
        """The trusted device that this is, of the account with an address."""
        if not device.token:
            return None
        return await self._work.fetchval(
            """
            SELECT d.id FROM kernel_trusted_devices d
            JOIN kernel_accounts a ON a.tenant_id = d.tenant_id AND a.id = d.account_id
            WHERE d.tenant_id = $1 AND d.digest = $2 AND d.expires_at > now() AND lower(a.email) = lower($3)
            """,
            self._tenant,
            _digest(device.token.reveal()),
            email.strip(),
        )

    async def recognise(self, account_id: UUID, device: Device) -> bool:
        """Whether the account trusts this device. It is used now."""
        if not device.token:
            return False
        tag = await self._work.execute(
            """
            UPDATE kernel_trusted_devices SET last_used_at = now(), user_agent = $4, ip = $5
            WHERE tenant_id = $1 AND account_id = $2 AND digest = $3 AND expires_at > now()
            """,
            self._tenant,
            account_id,
            _digest(device.token.reveal()),
            device.user_agent,
            device.ip,
        )
        return tag == "UPDATE 1"

    async def list(self, account_id: UUID) -> list[TrustedDevice]:
        """The devices that an account trusts, the last used first."""
        rows = await self._work.fetch(
            """
            SELECT id, user_agent, ip, created_at, last_used_at, expires_at FROM kernel_trusted_devices
            WHERE tenant_id = $1 AND account_id = $2 AND expires_at > now() ORDER BY last_used_at DESC, id
            """,
            self._tenant,
            account_id,
        )
        return [TrustedDevice(**row) for row in rows]

    async def forget(self, device_id: UUID) -> None:
        """Trust a device of the principal's no more.

        Raises:
            Unauthorized: nobody is logged in.
            NotFound: the account trusts no such device.
        """
        tag = await self._work.execute(
            "DELETE FROM kernel_trusted_devices WHERE tenant_id = $1 AND account_id = $2 AND id = $3",
            self._tenant,
            self._work.principal.account,
            device_id,
        )
        if tag != "DELETE 1":
            raise NotFound("You trust no such device.")
        await insert_entry(
            self._work, FACTOR_MANAGE, object_type="trusted_device", object_id=device_id, after={"forgotten": True}
        )

    async def forget_all(self) -> None:
        """Trust none of the principal's devices any more.

        Raises:
            Unauthorized: nobody is logged in.
        """
        account_id = self._work.principal.account
        await self.withdraw(account_id)
        await insert_entry(
            self._work, FACTOR_MANAGE, object_type="account", object_id=account_id, after={"forgotten": "all devices"}
        )

    async def withdraw(self, account_id: UUID) -> None:
        """Trust none of an account's devices any more, as part of something that is on record itself."""
        await self._work.execute(
            "DELETE FROM kernel_trusted_devices WHERE tenant_id = $1 AND account_id = $2", self._tenant, account_id
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
