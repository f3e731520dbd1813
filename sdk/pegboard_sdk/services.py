"""What one plugin may need from another, as protocols. The kernel finds the implementation; a third party may replace
it.

A plugin offers one from its `services` hook: `[Service(Escrow, EscrowService())]`. Implementations are stateless:
each method takes the caller's unit of work and works in the caller's transaction. What it gets acts as the offering
plugin (`uow.plugin`); `uow.caller` is who called.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from pegboard_sdk.ai import ChatMessage, TokenUsage
from pegboard_sdk.money import Money
from pegboard_sdk.pagination import Page
from pegboard_sdk.records import RecordView
from pegboard_sdk.work import SteppedUnitOfWork, UnitOfWork

__all__ = (
    "ApprovalState",
    "ApprovalView",
    "Approvals",
    "AuditEntryView",
    "AuditLog",
    "AuditOutcome",
    "Consent",
    "Escrow",
    "EscrowView",
    "MembershipView",
    "ModelAnswer",
    "ModelGateway",
    "ModelPiece",
    "OrganisationStatus",
    "OrganisationType",
    "OrganisationView",
    "Organisations",
    "Records",
    "Service",
    "Taxonomies",
    "TermView",
)

AuditOutcome = Literal["success", "refused", "failed"]
OrganisationType = Literal["agency", "company"]
OrganisationStatus = Literal["active", "suspended"]


class Service(msgspec.Struct, frozen=True):
    """An implementation that a plugin offers for a protocol. The last enabled plugin in dependency order wins."""

    protocol: type
    implementation: Any


class EscrowView(msgspec.Struct, frozen=True, kw_only=True):
    """An escrow as other plugins see it. `state`: awaiting_funds, held, released, refunded or cancelled."""

    id: UUID
    reference: str
    state: str
    money: Money


class Escrow(Protocol):
    """Money that is held for a purpose until somebody releases or refunds it. Offered by finance."""

    async def open(self, uow: UnitOfWork, *, reference: str, payer: UUID, payee: UUID, money: Money) -> EscrowView:
        """Open an escrow that waits for the payer's money. `reference` is `<plugin>.<noun>:<id>` and unique in the
        tenant.
        """
        ...

    async def get(self, uow: UnitOfWork, escrow_id: UUID) -> EscrowView:
        """The escrow, without a check of who asks.

        Raises:
            NotFound: there is none with this id.
        """
        ...

    async def release(self, uow: UnitOfWork, escrow_id: UUID) -> EscrowView:
        """Pay the payee, less the platform's fee. Releasing a released escrow changes nothing.

        Raises:
            NotFound: there is none with this id.
            Conflict: it is not held.
        """
        ...

    async def refund(self, uow: UnitOfWork, escrow_id: UUID) -> EscrowView:
        """Give the payer the money back, or cancel an escrow that was never funded. Doing it twice changes nothing.

        Raises:
            NotFound: there is none with this id.
            Conflict: it was released.
        """
        ...


class Consent(Protocol):
    """What people agreed to. Offered by governance."""

    async def has(self, uow: UnitOfWork, *, account_id: UUID, purpose: str) -> bool:
        """Whether the account's consent to the processing purpose stands now, for the notice's current version."""
        ...


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A language model's answer. `id` is that of the usage that was counted; `estimated` is whether the tokens are an
    upper bound, the provider not counting them.
    """

    id: UUID
    provider: str
    model: str
    content: str
    finish_reason: str
    usage: TokenUsage
    estimated: bool


class ModelPiece(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a streamed answer: `content` as it comes; the last one has the rest, as in `ModelAnswer`."""

    content: str = ""
    id: UUID | None = None
    finish_reason: str | None = None
    usage: TokenUsage | None = None
    estimated: bool = False


class ModelGateway(Protocol):
    """Language models, metered. Offered by ai_providers. Using it needs `capabilities.ai_spend = true`.

    Whose tokens are spent is `account_id`, or the account that acts: its quota and consent hold as if it asked itself.
    What was spent is on record with the plugin that asked. What is left out is the administrator's choice. Never called
    inside a step.

    Both raise:
        InvalidInput: the model or the length is not offered, or nobody's tokens are named and no account acts.
        Forbidden: the account has not consented to having texts sent to a model.
        TooManyRequests: its tokens of the day don't suffice, or the provider has too much to do.
        UpstreamFailed, Unavailable: the provider failed, or none is set up.
    """

    async def complete(
        self,
        uow: SteppedUnitOfWork,
        messages: Sequence[ChatMessage],
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float = 0.7,
        account_id: UUID | None = None,
    ) -> ModelAnswer:
        """The whole answer at once."""
        ...

    async def stream(
        self,
        uow: SteppedUnitOfWork,
        messages: Sequence[ChatMessage],
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float = 0.7,
        account_id: UUID | None = None,
    ) -> AsyncGenerator[ModelPiece]:
        """The answer in pieces, the first of which has come when this returns. Close it (`aclosing`): whatever ends it,
        the tokens so far are counted.
        """
        ...


class TermView(msgspec.Struct, frozen=True):
    """A term of a taxonomy."""

    id: UUID
    slug: str
    label: str


class Taxonomies(Protocol):
    """The terms that things are tagged with. Offered by the kernel."""

    async def resolve(self, uow: UnitOfWork, taxonomy: str, slugs: Sequence[str]) -> list[TermView]:
        """The terms, in the order of `slugs`.

        Raises:
            InvalidInput: a slug is unknown; `errors` names each.
        """
        ...


class AuditEntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the audit trail. `actor_id` is an account's; `before` and `after` hold the changed fields."""

    id: UUID
    occurred_at: datetime
    actor_kind: Literal["account", "anonymous", "system"]
    actor_id: UUID | None
    action: str
    object_type: str
    object_id: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    outcome: AuditOutcome
    reason: str | None
    request_id: str


class AuditLog(Protocol):
    """The audit trail, for reading; `uow.audit` writes it. Offered by the kernel. The caller decides who may read."""

    async def search(
        self,
        uow: UnitOfWork,
        *,
        actor_id: UUID | None = None,
        action: str | None = None,
        object_type: str | None = None,
        object_id: UUID | str | None = None,
        outcome: AuditOutcome | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[AuditEntryView]:
        """The tenant's entries that match everything given, newest first.

        `since` is inclusive, `until` is not; both have a time zone.

        Raises:
            InvalidCursor: `cursor` is not the `next_cursor` of a page.
        """
        ...


class Records(Protocol):
    """What references to other plugins' records mean to people. Offered by the kernel.

    The caller decides who may see it: being told a record's label needs no permission of the record's plugin.
    """

    async def describe(self, uow: UnitOfWork, references: Sequence[str]) -> Mapping[str, RecordView]:
        """A view of each reference (`<plugin>.<noun>:<id>`) in the tenant, whatever became of it and of its plugin.

        Nothing is missing from the answer: what nobody knows anything of is `unavailable`, without a label. It takes
        one round trip to the database.
        """
        ...


ApprovalState = Literal["pending", "executed", "rejected", "withdrawn", "expired"]


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a second person's approval. `permission` is what who decides must hold; `requested_by` and
    `decided_by` are accounts, None where the platform itself asked or nobody decided yet.
    """

    id: UUID
    kind: str
    permission: str
    object_type: str
    object_id: str
    summary: str
    reason: str
    state: ApprovalState
    requested_by: UUID | None
    created_at: datetime
    expires_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None
    decision_reason: str | None


class Approvals(Protocol):
    """Four eyes: one person asks, another who holds the kind's permission approves or rejects. Offered by the kernel.

    The kinds are what plugins return from the hook `approval_kinds`. A plugin asks for and handles its own only.
    """

    async def request(
        self,
        uow: UnitOfWork,
        kind: str,
        payload: msgspec.Struct,
        *,
        object_type: str,
        object_id: UUID | str,
        summary: str,
        reason: str = "",
    ) -> ApprovalView:
        """Ask for approval, in this transaction. `summary` tells who decides what will be done; `reason` says why.

        One request of a kind is open for an object. The same one again, by the same person, gives the one that is
        there.

        Raises:
            Conflict: another request of this kind is open for the object.
        """
        ...

    async def get(self, uow: UnitOfWork, approval_id: UUID) -> ApprovalView:
        """A request of one of the plugin's kinds, without a check of who asks.

        Raises:
            NotFound: there is none.
        """
        ...

    async def approve(self, uow: UnitOfWork, approval_id: UUID, *, reason: str = "") -> ApprovalView:
        """Approve and do it, in this transaction. The principal is who decides.

        Raises:
            NotFound: there is none, or the principal neither asked for it nor may decide it.
            Forbidden: the principal asked for it, or is nobody's account.
            Conflict: it was decided, withdrawn, or has expired.
            DomainError: whatever doing it raises; the request stays open.
        """
        ...

    async def reject(self, uow: UnitOfWork, approval_id: UUID, *, reason: str) -> ApprovalView:
        """Reject it: it will not be done. Raises as `approve` does."""
        ...

    async def withdraw(self, uow: UnitOfWork, approval_id: UUID) -> ApprovalView:
        """Take one's own request back.

        Raises:
            NotFound: there is none, or somebody else asked for it.
            Conflict: it was decided, or has expired.
        """
        ...


class OrganisationView(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation inside a marketplace, as plugins see it."""

    id: UUID
    type: OrganisationType
    name: str
    status: OrganisationStatus


class MembershipView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody in an organisation. `role` is what they are there: `owner`, `manager`, `member`, or one that a plugin's
    hook `roles` brings as `organisation_<role>`.
    """

    organisation_id: UUID
    account_id: UUID
    role: str


class Organisations(Protocol):
    """Agencies and companies: who belongs to them, and what they may do for them. The kernel offers it.

    A plugin says what an organisation's roles grant with its hook `roles`:

        RoleGrant("organisation_owner", ("hello:order.place",))

    and asks, for an object that is an organisation's, `await organisations.require(uow, order.buyer_id,
    "hello:order.place")`. Who is no member hears that there is no such organisation.
    """

    async def get(self, uow: UnitOfWork, organisation_id: UUID) -> OrganisationView:
        """An organisation of the marketplace, whoever asks.

        Raises:
            NotFound: there is none, or it was deleted.
        """
        ...

    async def memberships(self, uow: UnitOfWork, account_id: UUID) -> list[MembershipView]:
        """The organisations that an account belongs to; suspended ones are left out."""
        ...

    async def membership(self, uow: UnitOfWork, organisation_id: UUID, account_id: UUID) -> MembershipView | None:
        """What an account is in an organisation; None where it is no member, or the organisation is not active."""
        ...

    async def require(self, uow: UnitOfWork, organisation_id: UUID, permission: str) -> OrganisationView:
        """Refuse who may not do `permission` for the organisation. The system principal may.

        Raises:
            NotFound: there is none, or who asks is no member of it.
            Forbidden: their role in it does not grant the permission, or the organisation is suspended.
        """
        ...
