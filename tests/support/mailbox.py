"""A mail server that keeps what it gets, in the tests' own event loop."""

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Self, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

__all__ = ("Mailbox",)

_TOKEN = re.compile(r"\bpgo_[A-Za-z0-9_-]{43}\b")


class Mailbox:
    """`messages` in the order in which they came. Addresses in `answers` get that answer instead, such as
    `550 no such user here`.
    """

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.answers: dict[str, str] = {}
        self.port = 0

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """A server on a free port of the loopback, until the end of the block."""
        mailbox = cls()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(mailbox, hostname="mail.test", loop=loop), "127.0.0.1", 0)
        mailbox.port = server.sockets[0].getsockname()[1]
        try:
            yield mailbox
        finally:
            server.close()

    @property
    def environ(self) -> dict[str, str]:
        """The settings with which a platform sends its mail here."""
        return {
            "PEGBOARD_MAIL__TRANSPORT": "smtp",
            "PEGBOARD_MAIL__HOST": "127.0.0.1",
            "PEGBOARD_MAIL__PORT": str(self.port),
            "PEGBOARD_MAIL__SECURITY": "none",
        }

    def to(self, address: str) -> list[EmailMessage]:
        """What came for an address."""
        return [message for message in self.messages if message["To"] == address]

    def subjects(self, address: str) -> list[str]:
        """The subjects of what came for an address."""
        return [str(message["Subject"]) for message in self.to(address)]

    def token(self, address: str) -> str:
        """The token in the newest message to an address that has one."""
        found = [token for message in self.to(address) for token in _TOKEN.findall(message.get_content())]
        return found[-1]

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = cast(bytes, envelope.content)
        self.messages.append(cast(EmailMessage, email.message_from_bytes(content, policy=email.policy.default)))
        return "250 kept"
