"""API keys and clients' credentials: making, listing, replacing and ending them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from pegboard_sdk.errors import Conflict, FieldError, InvalidInput, NotFound
from pegboard_sdk.pagination import Page, decode_cursor, encode_cursor
from pegboard_sdk.work import Record

from pegboard.audit.writer import insert_entry
from pegboard.authorization.changes import start_use
from pegboard.authorization.giving import require_held
from pegboard.identity.accounts import AccountService
from pegboard.identity.authenticator import ANONYMOUS
from pegboard.identity.repository import IdentityRepository
from pegboard.identity.sessions import SessionService
from pegboard.machines.changes import credentials_changed
from pegboard.machines.errors import CredentialEnded, PublicKeyTaken, ScopeNotHeld, TooManyCredentials
from pegboard.machines.permissions import PEOPLE_ONLY
from pegboard.machines.public_keys import PublicKey, load_key, thumbprint
from pegboard.machines.repository import CredentialRepository
from pegboard.machines.schemas import (
    Credential,
    NewApiKey,
    NewCredential,
    NewServiceAccount,
    ServiceAccount,
    ShownCredential,
)
from pegboard.machines.texts import MachineText, digest_of
from pegboard.machines.verification import associated_data

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("MAX_CREDENTIALS", "CredentialService", "ServiceAccountService")

MAX_CREDENTIALS = 100
"""Of one account, that stand."""


class CredentialService:
    """The rules of credentials, over one unit of work. `action` is the permission in use, for the audit trail."""

    def __init__(self, work: "Work", *, action: str) -> None:
        self._work = work
        self._action = action
        self._config = work.runtime.config.auth
        self._vault = work.runtime.vault
        self._repository = CredentialRepository(work)

    async def create(self, account_id: UUID, data: NewApiKey | NewCredential, *, service: bool) -> ShownCredential:
        """A credential of an account: a service account's where `service`, else a person's key of their own.

        Raises:
            NotFound: there is no such account, or it is not of that kind.
            InvalidInput: a scope is no permission, it would live too long, or the public key is missing or wrong.
            ScopeNotHeld: the account's roles don't grant a scope.
            NotHeld: a scope is more than what who makes it holds.
            PublicKeyTaken: the public key is registered already.
            TooManyCredentials: the account has `MAX_CREDENTIALS`.
            Conflict: the account is disabled.
        """
        ttl = data.expires_in or min(self._config.key_ttl, self._config.key_max_ttl)
        if ttl > self._config.key_max_ttl:
            detail = f"A credential lives for {self._config.key_max_ttl} s at most: rotate it instead."
            raise InvalidInput(detail, errors=[FieldError("/expires_in", detail)])
        kind = data.kind if isinstance(data, NewCredential) else "api_key"
        public_key = data.public_key if isinstance(data, NewCredential) else None
        if (kind == "public_key") != (public_key is not None):
            detail = "Send public_key with the kind public_key, and only then."
            raise InvalidInput(detail, errors=[FieldError("/public_key", detail)])
        if public_key is not None:
            load_key(public_key)
        await self._lock_account(account_id, service=service)
        await self._check_scopes(account_id, data.scopes)
        return await self._insert(
            account_id, kind, public_key, label=data.label, scopes=data.scopes, rate=data.rate, ttl=ttl
        )

    async def list(
        self, account_id: UUID, *, limit: int, cursor: str | None, kind: str | None = None
    ) -> Page[Credential]:
        """An account's credentials, newest first; those that ended as long as their sessions are kept.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        rows = await self._repository.list(account_id, kind=kind, after=after[0] if after else None, limit=limit + 1)
        items = [_credential(row) for row in rows[:limit]]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

    async def revoke(self, account_id: UUID, credential_id: UUID) -> None:
        """End a credential, and the tokens that were given for it: writes at once, reads within a second. One that has
        ended stays so.

        Raises:
            NotFound: the account has no such credential.
        """
        # Who is being given a token for it has it first, or is refused.
        await self._repository.lock(credential_id)
        row = await self._get(account_id, credential_id)
        await insert_entry(
            self._work,
            self._action,
            object_type="credential",
            object_id=credential_id,
            before={"state": row["state"]},
            after={"state": "revoked"},
        )
        reason = "owner" if account_id == self._work.principal.account_id else "administrator"
        await SessionService(self._work.runtime).revoke(self._work, reason, session_id=credential_id)

    async def rotate(
        self, account_id: UUID, credential_id: UUID, *, overlap: int, service: bool = False
    ) -> ShownCredential:
        """Another key or secret with the same label, scopes, rate and lifetime. The old one is good for `overlap`
        seconds more, so that whoever uses it can change over. Of two who rotate at once, one does.

        With `service` it is a service account's, and who rotates it gets to know a secret that was never theirs: so
        they must hold what it carries, as who makes one.

        Raises:
            NotFound: the account has no such credential, or is no service account where it must be one.
            NotHeld: it carries more than what who rotates it holds.
            CredentialEnded: it has ended, or was replaced before.
            Conflict: it is a public key (register the new one beside it), or the account is disabled.
        """
        await self._lock_account(account_id, service=True if service else None)
        await self._repository.lock(credential_id)
        old = await self._get(account_id, credential_id)
        if service:
            await require_held(self._work, await start_use(self._work), frozenset(old["scopes"]))
        if old["kind"] == "public_key":
            raise Conflict("A client's key pair is its own: register the new public key, then revoke this one.")
        if old["state"] != "active":
            raise CredentialEnded
        shown = await self._insert(
            account_id,
            old["kind"],
            None,
            label=old["label"],
            scopes=old["scopes"],
            rate=old["rate"],
            ttl=max(60, min(old["lifetime"], self._config.key_max_ttl)),
            replaces=credential_id,
        )
        await self._repository.replace(credential_id, by=shown.id, overlap=overlap)
        await credentials_changed(self._work, account_id, credential_id=credential_id)
        return shown

    async def _insert(
        self,
        account_id: UUID,
        kind: str,
        public_key: PublicKey | None,
        *,
        label: str,
        scopes: Sequence[str],
        rate: int | None,
        ttl: int,
        replaces: UUID | None = None,
    ) -> ShownCredential:
        if await self._repository.count_standing(account_id) >= MAX_CREDENTIALS:
            raise TooManyCredentials(MAX_CREDENTIALS)
        work = self._work
        session = await IdentityRepository(work).insert_session(
            account_id, ttl=ttl, kind="api_key" if kind == "api_key" else "client", label=label.strip()
        )
        credential_id: UUID = session["id"]
        text = None if public_key is not None else MachineText.make("api_key" if kind == "api_key" else "client_secret")
        sealed = None
        if text is not None:
            sealed = self._vault.encrypt(digest_of(text), associated_data=associated_data(credential_id))
        made = await self._repository.insert(
            credential_id,
            account_id,
            kind=kind,
            public_id=text.public_id if text is not None else thumbprint(_given(public_key)),
            digest=sealed,
            key_id=None if sealed is None else self._vault.key_id,
            public_key=public_key,
            scopes=sorted(set(scopes)),
            rate=rate,
            created_by=work.principal.account_id,
        )
        if not made:
            raise PublicKeyTaken
        row = await self._get(account_id, credential_id)
        after = {"kind": kind, "account": str(account_id), "label": row["label"], "scopes": row["scopes"], "rate": rate}
        after |= {"expires_at": row["expires_at"]} | ({} if replaces is None else {"replaces": str(replaces)})
        await insert_entry(work, self._action, object_type="credential", object_id=credential_id, after=after)
        fields = msgspec.structs.asdict(_credential(row))
        return ShownCredential(**fields, secret=None if text is None else text.reveal())

    async def _lock_account(self, account_id: UUID, *, service: bool | None = None) -> None:
        account = await self._repository.lock_account(account_id)
        if account is None or (service is not None and (account["kind"] == "service") != service):
            raise NotFound("There is no such service account." if service else "There is no such account.")
        if account["status"] != "active":
            raise Conflict("The account is disabled: let it in again first.")

    async def _check_scopes(self, account_id: UUID, scopes: Sequence[str]) -> None:
        work = self._work
        policy = await start_use(work)
        errors = [
            FieldError(f"/scopes/{index}", f"There is no permission {scope} that a machine may have.")
            for index, scope in enumerate(scopes)
            if scope not in work.registry.permissions or scope in PEOPLE_ONLY
        ]
        if errors:
            raise InvalidInput(" ".join(error.detail for error in errors[:5]), errors=errors)
        roles = frozenset(await IdentityRepository(work).roles(account_id)) | {ANONYMOUS}
        missing = sorted(set(scopes) - policy.permissions_of(roles, work.registry))
        if missing:
            raise ScopeNotHeld(missing)
        await require_held(work, policy, frozenset(scopes))

    async def _get(self, account_id: UUID, credential_id: UUID) -> Record:
        row = await self._repository.get(credential_id, account_id=account_id)
        if row is None:
            raise NotFound("There is no such credential.")
        return row


class ServiceAccountService:
    """The rules of service accounts, over one unit of work. Roles and status change as those of all accounts do."""

    def __init__(self, work: "Work") -> None:
        self._work = work

    async def create(self, data: NewServiceAccount) -> ServiceAccount:
        """A service account.

        Raises:
            ServiceNameTaken: there is one of this name.
            InvalidInput, OperatorOnly, NotHeld, DutiesSegregated: as when an account is given roles.
        """
        account = await AccountService(self._work.runtime).create(
            self._work, email=None, password_hash=None, display_name=data.name, roles=data.roles
        )
        return ServiceAccount(
            id=account.id,
            name=account.display_name,
            status=account.status,
            roles=account.roles,
            created_at=account.created_at,
        )

    async def list(self, *, limit: int, cursor: str | None) -> Page[ServiceAccount]:
        """The tenant's service accounts, newest first.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        after = decode_cursor(cursor, [UUID])
        rows = await CredentialRepository(self._work).service_accounts(
            after=after[0] if after else None, limit=limit + 1
        )
        items = [
            ServiceAccount(
                id=row["id"],
                name=row["display_name"],
                status=row["status"],
                roles=row["roles"],
                created_at=row["created_at"],
            )
            for row in rows[:limit]
        ]
        return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)


def _given(public_key: PublicKey | None) -> PublicKey:
    assert public_key is not None, "a credential without a secret has a public key"
    return public_key


def _credential(row: Record) -> Credential:
    return Credential(
        id=row["id"],
        account_id=row["account_id"],
        kind=row["kind"],
        public_id=row["public_id"],
        label=row["label"],
        scopes=row["scopes"],
        rate=row["rate"],
        state=row["state"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        replaced_by=row["replaced_by"],
    )
