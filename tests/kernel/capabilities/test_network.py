"""Connections go to the address that was checked, whatever the name says a moment later."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pegboard.capabilities.client import HttpClient
from pegboard.config.model import OutboundConfig
from pegboard_sdk.outbound import OutboundRefused

from tests.kernel.capabilities.server import Server, response


@pytest.fixture
async def names() -> AsyncIterator[dict[str, list[list[str]]]]:
    """Names of the test: for each, what it leads to at the first question, at the second…; the last answer stays."""
    answers: dict[str, list[list[str]]] = {}

    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
        if host not in answers:
            return await real(host, port, **options)
        found = answers[host].pop(0) if len(answers[host]) > 1 else answers[host][0]
        return [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
            for text in found
        ]

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]  # the name server of this test
    yield answers
    loop.getaddrinfo = real  # type: ignore[method-assign]


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    """`local` may call this machine, nobody else may."""
    client = HttpClient(OutboundConfig(private_hosts={"local": ["127.0.0.1"], "named": ["model.internal"]}))
    yield client
    await client.close()


async def get(client: HttpClient, url: str, plugin: str = "local") -> httpx.Response:
    return await (await client.get(plugin)).get(url)


def at(server: Server, host: str) -> str:
    return server.url.replace("127.0.0.1", host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "0"])
async def test_this_machine_has_many_names_and_none_is_called(client: HttpClient, host: str):
    async with Server(response()) as server:
        with pytest.raises(OutboundRefused):
            await get(client, at(server, host), plugin="stranger")
    assert server.connections == 0


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "fd00::1"])
async def test_a_name_that_leads_into_a_private_network_is_not_called(
    client: HttpClient, names: dict[str, list[list[str]]], address: str
):
    names["evil.test"] = [[address]]
    with pytest.raises(OutboundRefused):
        await get(client, "http://evil.test/")


async def test_one_private_address_among_public_ones_is_enough(client: HttpClient, names: dict[str, list[list[str]]]):
    names["evil.test"] = [["1.1.1.1", "10.0.0.1"]]
    with pytest.raises(OutboundRefused):
        await get(client, "http://evil.test/")


async def test_a_name_is_asked_for_once_and_what_was_checked_is_connected_to(
    client: HttpClient, names: dict[str, list[list[str]]]
):
    """Rebinding: the first answer is harmless, the next one is not."""
    async with Server(response(b"checked")) as server:
        names["rebound.test"] = [["127.0.0.1"], ["169.254.169.254"]]
        assert (await get(client, at(server, "rebound.test"))).content == b"checked"
        assert len(names["rebound.test"]) == 1
        assert "host: rebound.test" in server.requests[0].lower()
        # The connection that is kept leads where it led; only another one is asked about anew.
        assert (await get(client, at(server, "rebound.test"))).content == b"checked"
        async with Server(response()) as another:
            with pytest.raises(OutboundRefused):
                await get(client, at(another, "rebound.test"))


async def test_a_connection_to_a_private_address_is_not_there_for_others(client: HttpClient):
    async with Server(response()) as server:
        assert (await get(client, server.url)).status_code == 200
        with pytest.raises(OutboundRefused):
            await get(client, server.url, plugin="stranger")
    assert server.connections == 1


async def test_a_named_host_may_be_private(client: HttpClient, names: dict[str, list[list[str]]]):
    async with Server(response()) as server:
        names["model.internal"] = names["other.internal"] = [["127.0.0.1"]]
        assert (await get(client, at(server, "model.internal"), plugin="named")).status_code == 200
        with pytest.raises(OutboundRefused):
            await get(client, at(server, "other.internal"), plugin="named")


async def test_the_next_address_is_tried_where_the_first_does_not_answer(
    client: HttpClient, names: dict[str, list[list[str]]]
):
    async with Server(response()) as server:
        names["two.test"] = [["127.0.0.1", "127.0.0.1"]]
        assert (await get(client, at(server, "two.test"))).status_code == 200
    names["gone.test"] = [["127.0.0.1"]]
    with pytest.raises(httpx.ConnectError):
        await get(client, "http://gone.test:1/")


async def test_proxies_and_credentials_of_the_environment_are_not_used(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
):
    async with Server(response(b"proxy")) as proxy, Server(response(b"direct")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await get(client, server.url)).content == b"direct"


async def test_a_name_that_leads_nowhere_is_a_failure_and_no_refusal(client: HttpClient):
    with pytest.raises(httpx.ConnectError):
        await get(client, "http://no-such-host.invalid/")
