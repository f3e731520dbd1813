"""Whether a configured Redis answers, and where it doesn't."""

import asyncio
import socket
from pathlib import Path

import pytest
from pegboard.supervisor.redis_probe import unanswered


async def test_a_running_one_answers(redis_url: str) -> None:
    assert await unanswered(redis_url) is None


async def test_a_port_that_nobody_listens_on_is_named_without_the_password() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]

        assert await unanswered(f"redis://:hidden@127.0.0.1:{port}/0") == f"127.0.0.1:{port}"


async def test_a_socket_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert await unanswered(f"unix://{tmp_path}/redis?db=1") == f"{tmp_path}/redis"


async def test_one_that_accepts_and_hangs_up_does_not_answer() -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]

        assert await unanswered(f"redis://127.0.0.1:{port}") == f"127.0.0.1:{port}"


@pytest.mark.parametrize("answer", [b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n"])
async def test_a_refusal_is_an_answer(answer: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    async with server:
        assert await unanswered(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") is None
