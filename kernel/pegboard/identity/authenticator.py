"""Who acts, from what the request carries.

Verifying a signature costs a hundred times what the rest of authentication does, so a verified token is remembered by
its digest until it expires or its session ends. The raw token is not kept.
"""

import hashlib
import time
from typing import Any
from uuid import UUID

import msgspec
from pegboard_sdk.access import Principal

from pegboard.authorization.policies import Policies
from pegboard.config.model import Config
from pegboard.database.pool import Database
from pegboard.factors.devices import TRUSTED_DEVICE
from pegboard.factors.permissions import RESTRICTED, RESTRICTED_PERMISSIONS
from pegboard.identity.errors import SessionEnded, StepUpRequired
from pegboard.identity.keys import KeyRing
from pegboard.identity.passwords import Passwords
from pegboard.identity.revocations import MAX_AGE, RevocationFeed
from pegboard.identity.tokens import AccessToken, Tokens
from pegboard.machines.verification import Machines
from pegboard.plugins.registry import Registry
from pegboard.tenancy.directory import Tenants
from pegboard.vault.vault import Vault

__all__ = ("ANONYMOUS", "Authenticator")

ANONYMOUS = "anonymous"
_MAX_TOKENS = 20_000


class _Known(msgspec.Struct):
    """A verified token. `principal` is as `registry` and the policies of `stamp` have it, until `good_until`: another
    generation or the tenant may grant its roles something else, and rights that are given for a while end.
    """

    access: AccessToken
    expires_at: float
    principal: Principal
    registry: Registry
    stamp: object
    good_until: float


class Authenticator:
    """One per process, and all that it needs: signing keys, revocations, password hashing, known tokens."""

    def __init__(self, config: Config, database: Database, vault: Vault) -> None:
        self.keys = KeyRing(database, vault, on_removed=self._forget_all)
        self.tokens = Tokens(self.keys, issuer=config.http.public_url or "pegboard", ttl=config.auth.access_ttl)
        self.passwords = Passwords(threads=config.auth.hash_threads)
        self.policies = Policies()
        self.tenants = Tenants()
        self.machines = Machines(database, vault, lifetime=config.auth.access_ttl, on_changed=self._forget)
        self.revocations = RevocationFeed(
            database, lifetime=config.auth.access_ttl, on_revoked=self._forget, also=self._follow
        )
        self._fresh_ttl = config.auth.fresh_ttl
        self._known: dict[bytes, _Known] = {}
        self._digests: dict[UUID, set[bytes]] = {}

    async def start(self) -> None:
        """Load the signing keys (make the first one) and begin to follow revocations.

        Raises:
            VaultError: the signing key was sealed under another master key.
        """
        await self.keys.load()
        await self.revocations.start()
        self.machines.start()

    async def stop(self) -> None:
        """End the background work."""
        await self.revocations.stop()
        await self.machines.stop()
        self.passwords.close()

    def cached(self, token: str, registry: Registry) -> Principal | None:
        """The principal of a token that was verified before and stands; None where `principal` has to be asked."""
        if time.monotonic() - self.revocations.as_of > MAX_AGE:
            return None
        known = self._known.get(_digest(token))
        if known is None:
            return None
        now = time.time()
        if known.good_until <= now or known.registry is not registry or known.stamp is not self.policies.stamp:
            if known.expires_at <= now:
                return None
            self._work_out(known, registry, now)
        return known.principal

    async def principal(self, token: str, registry: Registry) -> Principal:
        """The principal that `token` stands for.

        Raises:
            Unauthorized: the token is not valid, or its session has ended.
            Unavailable: whether the session stands can't be found out now.
        """
        await self.revocations.ensure()
        known = self.cached(token, registry)
        if known is not None:
            return known
        if self.machines.is_key(token):
            access = await self.machines.of_key(token)
        else:
            access = await self.tokens.verify(token)
            if access.client_id is not None:
                access = await self.machines.of_token(access)
        if self.revocations.is_revoked(access.sid):
            raise SessionEnded
        known = self._judged(access, registry)
        self._remember(_digest(token), known)
        return known.principal

    def require_fresh(self, principal: Principal) -> None:
        """Refuse who has not proved within `auth.fresh_ttl` who they are. The system principal needs no proof.

        Raises:
            StepUpRequired: the proof is older, or there was none, as with an API key; or a trusted device took the
                second factor's place at the log-in, and it was not proved since.
        """
        proven = None if TRUSTED_DEVICE in principal.methods else principal.authenticated_at
        if principal.kind != "system" and (proven is None or time.time() - proven > self._fresh_ttl):
            raise StepUpRequired(self._fresh_ttl)

    def anonymous(self, tenant_id: UUID, registry: Registry) -> Principal:
        """Somebody who is not logged in, in a tenant."""
        roles = frozenset((ANONYMOUS,))
        return Principal(
            kind="anonymous", tenant_id=tenant_id, roles=roles, permissions=self.permissions(tenant_id, roles, registry)
        )

    def permissions(self, tenant_id: UUID, roles: frozenset[str], registry: Registry) -> frozenset[str]:
        """What the roles grant in a tenant and a generation. It is worked out once for each set of roles."""
        return self.policies.of(tenant_id).permissions_of(roles, registry)

    def _principal(self, access: AccessToken, registry: Registry, now: float) -> tuple[Principal, float]:
        """Who the token stands for, and until when that is so."""
        more, extra, until = self.policies.of(access.tid).raised(access.sub, now)
        roles = frozenset(access.roles) | more
        # Whoever logs in does not lose what everybody may do.
        permissions = self.permissions(access.tid, roles | {ANONYMOUS}, registry) | extra
        if RESTRICTED in access.roles:
            roles = frozenset(access.roles)
            permissions = self.permissions(access.tid, frozenset((ANONYMOUS,)), registry) | RESTRICTED_PERMISSIONS
        if access.scope is not None:
            everybodys = self.permissions(access.tid, frozenset((ANONYMOUS,)), registry)
            permissions = permissions.intersection(access.scope.split()) | everybodys
        principal = Principal(
            kind="account",
            tenant_id=access.tid,
            account_id=access.sub,
            session_id=access.sid,
            roles=roles,
            permissions=permissions,
            authenticated_at=access.auth_time,
            methods=frozenset(access.amr),
        )
        return principal, min(until, access.exp)

    async def _follow(self, connection: Any, horizon: int | None) -> None:
        """Keep up with what else decides about requests, besides revocations."""
        await self.policies.follow(connection, horizon)
        await self.tenants.follow(connection, horizon)
        await self.machines.follow(connection, horizon)
        await self.keys.follow(connection, horizon)

    def _judged(self, access: AccessToken, registry: Registry) -> _Known:
        principal, until = self._principal(access, registry, time.time())
        return _Known(access, access.exp, principal, registry, self.policies.stamp, until)

    def _work_out(self, known: _Known, registry: Registry, now: float) -> None:
        known.principal, known.good_until = self._principal(known.access, registry, now)
        known.registry, known.stamp = registry, self.policies.stamp

    def _remember(self, digest: bytes, known: _Known) -> None:
        # Tokens expire about in the order in which they came: what is due is in front, and so is what gives way.
        now = time.time()
        while self._known:
            oldest, first = next(iter(self._known.items()))
            if first.expires_at > now and len(self._known) < _MAX_TOKENS:
                break
            self._drop(oldest)
        self._known[digest] = known
        self._digests.setdefault(known.access.sid, set()).add(digest)

    def _drop(self, digest: bytes) -> None:
        session_id = self._known.pop(digest).access.sid
        digests = self._digests[session_id]
        digests.discard(digest)
        if not digests:
            del self._digests[session_id]

    def _forget_all(self) -> None:
        self._known.clear()
        self._digests.clear()

    def _forget(self, session_id: UUID) -> None:
        for digest in tuple(self._digests.get(session_id, ())):
            self._drop(digest)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
