"""Sending mail: a job in the caller's transaction, its payload sealed, so that a message goes out if and only if what
it tells of was committed, and nobody waits for a mail server.
"""

from typing import TYPE_CHECKING

import msgspec
import structlog
from pegboard_sdk.jobs import ExternalJob

from pegboard.jobs.sealed import Sealed, seal, unseal
from pegboard.mail.message import Message
from pegboard.mail.transports import Refused, transport_of

if TYPE_CHECKING:
    from pegboard.work import SteppedWork, Work

__all__ = ("JOBS", "SEND_MAIL", "MailOutcome", "SendMail", "send_mail")

log = structlog.get_logger("pegboard.mail")


class SendMail(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed `Message`. Its id becomes the Message-ID, so that a mail program shows one that was sent twice once."""

    kind: str
    message: Sealed


class MailOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a message: `code` is the mail server's where it refused the address for good."""

    outcome: str
    code: int | None = None


async def send_mail(work: "Work", message: Message) -> None:
    """Have `message` sent once the caller's transaction is committed."""
    sealed = seal(work.runtime, work.tenant_id, message)
    await work.enqueue(SEND_MAIL, SendMail(kind=message.kind, message=sealed))


async def deliver_mail(uow: "SteppedWork", payload: SendMail) -> MailOutcome:
    """Hand the message to the transport. What the mail server refuses for good is not tried again.

    Raises:
        MailNotSent: it may work later.
    """
    message = unseal(uow.runtime, uow.tenant_id, payload.message, Message)
    config = uow.runtime.config
    if config.mail.transport == "console" and config.http.public_url.startswith("https:"):
        log.warning("mail.printed", kind=payload.kind, reason="mail.transport is console: nobody gets this message")
    try:
        await transport_of(config.mail).send(message, payload.message.id)
    except Refused as refused:
        log.warning("mail.refused", kind=payload.kind, code=refused.code)
        return MailOutcome(outcome="refused", code=refused.code)
    return MailOutcome(outcome="sent")


SEND_MAIL = ExternalJob(name="kernel.send_mail", payload=SendMail, run=deliver_mail, max_attempts=12, timeout=120)  # type: ignore[arg-type]  # the kernel's own jobs get the kernel's unit of work

JOBS = (SEND_MAIL,)
