"""Sending mail: a job in the caller's transaction, its payload sealed, so that a message goes out if and only if what
it tells of was committed, and nobody waits for a mail server.
"""

import base64
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
import structlog
from pegboard_sdk.ids import new_id
from pegboard_sdk.jobs import ExternalJob

from pegboard.mail.message import Message
from pegboard.mail.transports import Refused, transport_of

if TYPE_CHECKING:
    from pegboard.vault.vault import Vault
    from pegboard.work import SteppedWork, Work

__all__ = ("JOBS", "SEND_MAIL", "MailOutcome", "SendMail", "open_mail", "send_mail")

log = structlog.get_logger("pegboard.mail")


class SendMail(msgspec.Struct, frozen=True, kw_only=True):
    """A message in an envelope of the vault (base64). `id` becomes its Message-ID, so that a mail program shows one
    that was sent twice once.
    """

    id: UUID
    kind: str
    envelope: str


class MailOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message: `code` is the mail server's where it refused the address for good."""

    outcome: str
    code: int | None = None


async def send_mail(work: "Work", message: Message) -> None:
    """Have `message` sent once the caller's transaction is committed."""
    mail_id = new_id()
    envelope = work.runtime.vault.encrypt(msgspec.json.encode(message), associated_data=_row(work.tenant_id, mail_id))
    payload = SendMail(id=mail_id, kind=message.kind, envelope=base64.b64encode(envelope).decode())
    await work.enqueue(SEND_MAIL, payload)


def open_mail(vault: "Vault", tenant_id: UUID, payload: SendMail) -> Message:
    """The message that a job of the tenant carries.

    Raises:
        VaultError: it can't be opened: the master key was changed, or the row.
    """
    envelope = base64.b64decode(payload.envelope)
    return msgspec.json.decode(vault.decrypt(envelope, associated_data=_row(tenant_id, payload.id)), type=Message)


async def deliver_mail(uow: "SteppedWork", payload: SendMail) -> MailOutcome:
    """Hand the message to the transport. What the mail server refuses for good is not tried again.

    Raises:
        MailNotSent: it may work later.
    """
    message = open_mail(uow.runtime.vault, uow.tenant_id, payload)
    try:
        await transport_of(uow.runtime.config.mail).send(message, payload.id)
    except Refused as refused:
        log.warning("mail.refused", kind=payload.kind, code=refused.code)
        return MailOutcome(outcome="refused", code=refused.code)
    return MailOutcome(outcome="sent")


def _row(tenant_id: UUID, mail_id: UUID) -> bytes:
    return b"kernel_jobs.mail:" + tenant_id.bytes + mail_id.bytes


SEND_MAIL = ExternalJob(name="kernel.send_mail", payload=SendMail, run=deliver_mail, max_attempts=12, timeout=120)  # type: ignore[arg-type]  # the kernel's own jobs get the kernel's unit of work

JOBS = (SEND_MAIL,)
