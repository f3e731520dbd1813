"""Mail goes out if and only if the transaction was committed, and nothing at rest or in the log tells what it says."""

import socket
from email.message import EmailMessage
from uuid import UUID

import msgspec
import pytest
from pegboard.config.model import MailConfig
from pegboard.jobs.sealed import unseal
from pegboard.mail.message import Message
from pegboard.mail.outbox import SendMail, send_mail
from pegboard.mail.transports import ConsoleTransport, MailNotSent, SmtpTransport, encode
from pegboard.vault.errors import VaultError
from pegboard_sdk.ids import new_id

from tests.support.mailbox import Mailbox
from tests.support.platform import TestPlatform

TEXT = "Your token is swordfish-7.\n\nNöt ASCII: ✓"


def message(address: str) -> Message:
    return Message(to=address, kind="greeting", subject="Grüße", text=TEXT)


@pytest.fixture
def address() -> str:
    return f"{new_id().hex}@example.com"


async def jobs(platform: TestPlatform, tenant: UUID) -> list[tuple[str, str, str | None, str | None]]:
    async with platform.runtime.database.system_reader() as connection:
        rows = await connection.fetch(
            "SELECT payload::text, state, result::text, error FROM kernel_jobs WHERE tenant_id = $1 ORDER BY id", tenant
        )
    return [tuple(row) for row in rows]


async def test_a_message_arrives_as_it_was_written(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox, address: str
) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await send_mail(work, message(address))
    assert mailbox.to(address) == []
    await platform.drain()
    (mail,) = mailbox.to(address)
    assert isinstance(mail, EmailMessage)
    assert (mail["Subject"], mail.get_content().replace("\r\n", "\n").strip()) == ("Grüße", TEXT)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["From"] == platform.config.mail.sender
    assert mail["Date"]


async def test_a_rollback_sends_nothing(platform: TestPlatform, tenant: UUID, mailbox: Mailbox, address: str) -> None:
    async def fails() -> None:
        async with platform.work(platform.system(tenant)) as work:
            await send_mail(work, message(address))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    await platform.drain()
    assert mailbox.to(address) == []


async def test_the_job_row_tells_neither_address_nor_text(
    platform: TestPlatform, tenant: UUID, address: str, mailbox: Mailbox
) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await send_mail(work, message(address))
    ((payload, *_),) = await jobs(platform, tenant)
    assert address not in payload
    assert "swordfish" not in payload
    sealed = msgspec.json.decode(payload, type=SendMail)
    assert unseal(platform.runtime, tenant, sealed.message, Message) == message(address)
    with pytest.raises(VaultError):
        unseal(platform.runtime, await platform.tenant(), sealed.message, Message)
    await platform.drain()


async def test_a_refused_address_is_not_tried_again_and_not_told(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mailbox.answers[address] = f"550 <{address}> no such user here"
    async with platform.work(platform.system(tenant)) as work:
        await send_mail(work, message(address))
    await platform.drain(include_delayed=True)
    ((payload, state, result, error),) = await jobs(platform, tenant)
    assert (state, error) == ("succeeded", None)
    assert msgspec.json.decode(result or "") == {"outcome": "refused", "code": 550}
    seen = capsys.readouterr()
    assert address not in payload + seen.out + seen.err


async def test_a_deferred_message_is_sent_later(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mailbox.answers[address] = f"451 <{address}> come again"
    async with platform.work(platform.system(tenant)) as work:
        await send_mail(work, message(address))
    await platform.drain()
    ((_, state, _, error),) = await jobs(platform, tenant)
    assert state == "queued"
    assert error == "MailNotSent: the mail server deferred the message (451)"
    del mailbox.answers[address]
    await platform.drain(include_delayed=True)
    assert len(mailbox.to(address)) == 1
    seen = capsys.readouterr()
    assert address not in seen.out + seen.err


async def test_a_server_that_is_away_is_named(address: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        config = MailConfig(transport="smtp", host="127.0.0.1", port=port, security="none", timeout=5)
        with pytest.raises(MailNotSent, match=rf"127\.0\.0\.1:{port} can't be used"):
            await SmtpTransport(config).send(message(address), new_id())


async def test_a_server_without_tls_gets_nothing_where_tls_is_asked_for(mailbox: Mailbox, address: str) -> None:
    config = MailConfig(transport="smtp", host="127.0.0.1", port=mailbox.port, security="starttls", timeout=5)
    with pytest.raises(MailNotSent):
        await SmtpTransport(config).send(message(address), new_id())
    assert mailbox.to(address) == []


async def test_the_console_shows_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    await ConsoleTransport().send(message("ada@example.com"), new_id())
    shown = capsys.readouterr().err
    assert "ada@example.com" in shown
    assert TEXT in shown


def test_the_same_message_has_the_same_id() -> None:
    mail_id = new_id()
    sender = "Market <no-reply@market.example>"
    first, second = (encode(message("ada@example.com"), mail_id, sender=sender) for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"] == f"<{mail_id.hex}@market.example>"


@pytest.mark.parametrize("field", ["to", "subject"])
def test_a_line_break_can_not_add_a_header(field: str) -> None:
    bad = msgspec.structs.replace(message("ada@example.com"), **{field: "ada@example.com\r\nBcc: all@example.com"})
    with pytest.raises(ValueError, match=r"line|linefeed|header"):
        encode(bad, new_id(), sender="no-reply@market.example")


def test_a_message_does_not_show_itself() -> None:
    assert repr(message("ada@example.com")) == "Message(kind='greeting', …)"
