"""Invitations to organisations, by mail.

Who invites hears the same whether or not there is an account with the address: nobody looks it up. The token is good
for one answer, for a while, by an account that has proven the address that it was sent to; only its digest is stored.
"""

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING
from uuid import UUID

from pegboard_sdk.errors import NotFound
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.work import Record

from pegboard.identity.credentials import normal_email
from pegboard.identity.markets import market_of
from pegboard.identity.repository import IdentityRepository
from pegboard.mail.outbox import send_mail
from pegboard.tenancy.errors import InvitationInvalid, InvitationOpen, TooManyInvitations
from pegboard.tenancy.events import MemberJoined
from pegboard.tenancy.letters import invitation
from pegboard.tenancy.organisation_access import require, require_may_give
from pegboard.tenancy.organisation_repository import OrganisationRepository
from pegboard.tenancy.organisation_schemas import Invitation, Organisation
from pegboard.tenancy.organisations import OrganisationService
from pegboard.tenancy.permissions import INVITATION_ANSWER, INVITATION_LIST, INVITATION_REVOKE, INVITATION_SEND

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("MAX_A_DAY", "MAX_OPEN", "MAX_SENT", "InvitationService")

ORGANISATION = "organisation"
TTL = 7 * 86_400
MAX_OPEN = 100
"""Open invitations of one organisation."""
MAX_SENT = 5
"""Messages of one invitation."""
MAX_A_DAY = 10
"""Messages of all organisations to one address. More are not sent, and nobody is told: it would tell on others."""
_PREFIX = "pgo_"
"""As of all mailed tokens, so that secret scanners know one when they see it."""


class InvitationService:
    """Over one unit of work. What is done for an organisation raises what `organisation_access.require` raises."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._repository = OrganisationRepository(work)

    async def send(self, organisation_id: UUID, *, email: str, role: str) -> Invitation:
        """Invite whoever reads mail at `email`.

        Raises:
            InvalidInput: not an e-mail address, or there is no such role.
            NotHeld: the role grants more than one's own.
            InvitationOpen: one is open for this address.
            TooManyInvitations: too many are open.
        """
        email = normal_email(email)
        found = await require(self._work, organisation_id, INVITATION_SEND, lock=True)
        require_may_give(self._work, found["role"], role)
        if await self._repository.count_open(organisation_id) >= MAX_OPEN:
            raise TooManyInvitations(f"{MAX_OPEN} invitations are open: revoke some, or wait for answers.")
        recent = await self._repository.count_recent(email)
        token = _token()
        row = await self._repository.insert_invitation(
            organisation_id,
            email=email,
            role=role,
            digest=_digest(token),
            ttl=TTL,
            invited_by=self._work.principal.account_id,
        )
        if row is None:
            raise InvitationOpen
        await self._mail(found, row, token, recent)
        await self._audit(INVITATION_SEND, row, None, "open")
        return _invitation(row)

    async def resend(self, organisation_id: UUID, invitation_id: UUID) -> Invitation:
        """Send an open invitation again, with another token and a new term; the one before is worthless.

        Raises:
            NotFound: there is no such invitation, or it is not open.
            NotHeld: its role grants more than one's own.
            TooManyInvitations: it was sent too often.
        """
        found = await require(self._work, organisation_id, INVITATION_SEND, lock=True)
        row = await self._open(organisation_id, invitation_id, expired_too=True)
        require_may_give(self._work, found["role"], row["role"])
        if row["sent"] >= MAX_SENT:
            raise TooManyInvitations(f"This was sent {MAX_SENT} times: tell them otherwise, or revoke it.")
        recent = await self._repository.count_recent(row["email"])
        token = _token()
        await self._repository.renew_invitation(invitation_id, digest=_digest(token), ttl=TTL)
        await self._mail(found, row, token, recent)
        await self._audit(INVITATION_SEND, row, row["state"], "open")
        return _invitation(await self._repository.invitation(organisation_id, invitation_id))

    async def revoke(self, organisation_id: UUID, invitation_id: UUID) -> None:
        """Take an invitation back. One that is closed stays as it is.

        Raises:
            NotFound: there is no such invitation.
        """
        await require(self._work, organisation_id, INVITATION_REVOKE, lock=True)
        row = await self._repository.invitation(organisation_id, invitation_id)
        if row is None:
            raise NotFound("There is no such invitation.")
        if await self._repository.close_invitation(invitation_id, "revoked"):
            await self._audit(INVITATION_REVOKE, row, row["state"], "revoked")

    async def list(self, organisation_id: UUID, *, limit: int, cursor: str | None) -> Page[Invitation]:
        """The organisation's invitations, newest first.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        await require(self._work, organisation_id, INVITATION_LIST)
        rows = await self._repository.invitations(organisation_id, after=after[0] if after else None, limit=limit + 1)
        items = [_invitation(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def accept(self, token: str) -> Organisation:
        """Become a member. Who is one already keeps their role.

        Raises:
            InvitationInvalid: the token is not good, or not for this account.
        """
        row = await self._for_me(token)
        if not await self._repository.close_invitation(row["id"], "accepted"):
            raise InvitationInvalid
        account_id, organisation_id = self._work.principal.account, row["organisation_id"]
        joined = await self._repository.add_member(organisation_id, account_id, row["role"])
        await self._audit(INVITATION_ANSWER, row, "open", "accepted")
        if joined:
            await self._work.emit(
                MemberJoined(organisation_id=organisation_id, account_id=account_id, role=row["role"])
            )
        return await OrganisationService(self._work).get(organisation_id)

    async def decline(self, token: str) -> None:
        """Refuse an invitation.

        Raises:
            InvitationInvalid: the token is not good, or not for this account.
        """
        row = await self._for_me(token)
        if not await self._repository.close_invitation(row["id"], "declined"):
            raise InvitationInvalid
        await self._audit(INVITATION_ANSWER, row, "open", "declined")

    async def _for_me(self, token: str) -> Record:
        """The open invitation that a token is of, if it was sent to the principal. Of two who come with it at once the
        lock on the organisation lets one pass.
        """
        row = await self._repository.invitation_by_digest(_digest(token))
        account = await IdentityRepository(self._work).account(self._work.principal.account)
        if row is None or account is None or not account["email"] or account["email_verified_at"] is None:
            raise InvitationInvalid
        organisation = await self._repository.find(row["organisation_id"], None, lock=True)
        if (
            row["state"] != "open"
            or account["email"].lower() != row["email"].lower()
            or organisation is None
            or organisation["status"] != "active"
        ):
            raise InvitationInvalid
        return row

    async def _open(self, organisation_id: UUID, invitation_id: UUID, *, expired_too: bool) -> Record:
        row = await self._repository.invitation(organisation_id, invitation_id)
        if row is None or not (row["state"] == "open" or (expired_too and row["state"] == "expired")):
            raise NotFound("There is no such open invitation.")
        return row

    async def _mail(self, organisation: Record, row: Record, token: str, recent: int) -> None:
        if recent >= MAX_A_DAY:
            return
        letter = invitation(
            row["email"],
            await market_of(self._work),
            organisation=organisation["name"],
            role=row["role"],
            token=token,
            days=TTL // 86_400,
        )
        await send_mail(self._work, letter)

    async def _audit(self, action: str, row: Record, before: str | None, after: str) -> None:
        await self._work.audit(
            action,
            object_type=ORGANISATION,
            object_id=row["organisation_id"],
            before=None if before is None else {"invitation": row["id"], "state": before},
            after={"invitation": row["id"], "email": row["email"], "role": row["role"], "state": after},
            personal=("email",),
        )


def _token() -> str:
    return _PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _invitation(row: Record | None) -> Invitation:
    if row is None:
        raise NotFound("There is no such invitation.")
    return Invitation(**dict(row))
