"""How mail leaves: to the terminal, for who tries Pegboard out, or to a mail server."""

import sys
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Protocol
from uuid import UUID

from pegboard.config.model import MailConfig
from pegboard.mail.message import Message

__all__ = ("ConsoleTransport", "MailNotSent", "Refused", "SmtpTransport", "Transport", "transport_of")

_PERMANENT = range(500, 600)


class MailNotSent(Exception):
    """The mail server didn't take the message this time. Its own words are left out: they repeat the address."""


class Refused(Exception):
    """The mail server will never take the message: the address doesn't exist there, say. `code` is SMTP's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"refused with {code}")
        self.code = code


class Transport(Protocol):
    """Sends one message."""

    async def send(self, message: Message, mail_id: UUID) -> None:
        """Send `message`; `mail_id` is the same each time that it is tried.

        Raises:
            Refused: trying again is of no use.
            MailNotSent: it may work later.
        """
        ...


class ConsoleTransport:
    """Prints messages, tokens included, on standard error: for one's own machine only."""

    async def send(self, message: Message, mail_id: UUID) -> None:
        rule = "─" * 72
        sys.stderr.write(f"{rule}\nMail to {message.to}: {message.subject}\n\n{message.text}\n{rule}\n")
        sys.stderr.flush()


class SmtpTransport:
    """Hands messages to a mail server (RFC 6409)."""

    def __init__(self, config: MailConfig) -> None:
        self._config = config

    async def send(self, message: Message, mail_id: UUID) -> None:
        import aiosmtplib  # only a process that sends by SMTP needs it

        config = self._config
        try:
            await aiosmtplib.send(
                encode(message, mail_id, sender=config.sender),
                hostname=config.host,
                port=config.port,
                use_tls=config.security == "tls",
                start_tls=config.security == "starttls",
                username=config.username or None,
                password=config.password.reveal() or None,
                timeout=config.timeout,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            code = error.recipients[0].code
            if code in _PERMANENT:
                raise Refused(code) from None
            raise MailNotSent(f"the mail server deferred the message ({code})") from None
        except aiosmtplib.SMTPResponseException as error:
            raise MailNotSent(f"the mail server answered {error.code}: see its log") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            where = f"{config.host}:{config.port}"
            raise MailNotSent(f"the mail server at {where} can't be used ({type(error).__name__})") from None


def encode(message: Message, mail_id: UUID, *, sender: str) -> EmailMessage:
    """The message as it is sent (RFC 5322).

    Raises:
        ValueError: an address or the subject holds a line break.
    """
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = message.to
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{mail_id.hex}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: so that nobody's holiday notice answers
    mail.set_content(message.text)
    return mail


def transport_of(config: MailConfig) -> Transport:
    """The transport that the configuration names."""
    return SmtpTransport(config) if config.transport == "smtp" else ConsoleTransport()
