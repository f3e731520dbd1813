"""Calls out: to declared hosts, bounded, outside transactions, on record, and leaving nothing behind."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from pegboard.plugins.compile import compile_registry
from pegboard.plugins.registry import Registry
from pegboard.vault.store import SecretStore
from pegboard.work import SteppedWork
from pegboard_sdk import Secret, new_id
from pegboard_sdk.errors import CapabilityDenied
from pegboard_sdk.outbound import (
    OutboundAddressInvalid,
    OutboundFailed,
    OutboundRefused,
    OutboundTimeout,
    OutboundTooLarge,
)
from pegboard_sdk.services import AuditLog

from tests.kernel.capabilities.conftest import MakeRegistry, made_up
from tests.kernel.capabilities.server import Server, response
from tests.support.platform import TestPlatform
from tests.support.servers import make_config


class Settings(msgspec.Struct, frozen=True):
    address: str = ""


def stepped(platform: TestPlatform, registry: Registry, tenant: UUID, plugin: str = "caller") -> SteppedWork:
    return SteppedWork(platform.runtime, registry, platform.system(tenant), new_id().hex, plugin=plugin)


@pytest.fixture
def registry(with_plugins: MakeRegistry) -> Registry:
    return with_plugins(made_up("caller", outbound_hosts=["127.0.0.1"]), made_up("hermit"))


@pytest.fixture
def work(platform: TestPlatform, registry: Registry, tenant: UUID) -> SteppedWork:
    return stepped(platform, registry, tenant)


async def calls(platform: TestPlatform, tenant: UUID, action: str = "kernel:outbound.call") -> list[dict[str, Any]]:
    """The calls on record, oldest first."""
    await platform.runtime.trail.written()
    async with platform.work(platform.system(tenant)) as uow:
        page = await uow.service(AuditLog).search(uow, action=action, limit=100)
    return [
        {"object": entry.object_id, "outcome": entry.outcome, **(entry.after or {})} for entry in reversed(page.items)
    ]


async def test_a_call_is_answered_and_on_record_without_what_was_sent(
    platform: TestPlatform, work: SteppedWork, tenant: UUID
):
    async with Server(response(b'{"ok": true}', "X-Kind: test")) as server:
        answer = await work.outbound.request(
            "post", f"{server.url}/a/b?key=s3cret#x", headers={"Authorization": "Bearer s3cret"}, json={"a": 1}
        )
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (200, b'{"ok": true}', "test")
    (request,) = server.requests
    assert request.startswith("POST /a/b?key=s3cret HTTP/1.1")
    assert request.endswith('{"a":1}')
    assert "authorization: bearer s3cret" in request.lower()
    (call,) = await calls(platform, tenant)
    assert call.pop("ms") > 0
    assert call == {
        "object": f"POST {server.url}/a/b", "outcome": "success", "plugin": "caller", "status": 200
    }  # fmt: skip


async def test_connections_are_used_again_and_cookies_are_not(work: SteppedWork):
    async with Server(response(b"", "Set-Cookie: who=somebody")) as server:
        for _ in range(3):
            await work.outbound.request("GET", server.url)
        assert server.connections == 1
        assert not any("cookie" in request.lower() for request in server.requests)


async def test_a_host_that_the_manifest_does_not_list_is_not_called(
    platform: TestPlatform, registry: Registry, tenant: UUID
):
    async with Server(response()) as server:
        with pytest.raises(CapabilityDenied, match=r"capabilities\.outbound_hosts"):
            await stepped(platform, registry, tenant, "hermit").outbound.request("GET", f"{server.url}/?key=s3cret")
    assert server.requests == []
    assert await calls(platform, tenant, "kernel:host.use") == [
        {"object": f"GET {server.url}/", "outcome": "refused", "plugin": "hermit"}
    ]


async def test_nobody_follows_a_redirect(work: SteppedWork):
    async with Server(response(b"", "Location: http://undeclared.test/", status=302)) as server:
        answer = await work.outbound.request("GET", server.url)
    assert (answer.status, answer.headers["location"]) == (302, "http://undeclared.test/")


async def test_the_host_of_a_setting_or_a_secret_may_be_called_and_no_other(
    platform: TestPlatform, with_plugins: MakeRegistry, tenant: UUID
):
    async with Server(response()) as one, Server(response()) as two, Server(response()) as three:
        registry = with_plugins(
            made_up(
                "caller",
                outbound_hosts=["settings:address", "secret:caller.address"],
                secrets=["caller.address"],
                settings=Settings(f"{one.url}/v1"),
            )
        )
        async with platform.runtime.database.system_transaction() as connection:
            store = SecretStore(connection, platform.runtime.vault, actor=platform.system(tenant), request_id="test")
            await store.set("caller.address", Secret(f"{two.url}/v1"), tenant_id=tenant)
        work = stepped(platform, registry, tenant)
        for server in (one, two):
            assert (await work.outbound.request("GET", server.url)).status == 200
        with pytest.raises(CapabilityDenied):
            await work.outbound.request("GET", three.url)
        elsewhere = stepped(platform, registry, await platform.tenant())
        with pytest.raises(CapabilityDenied):
            await elsewhere.outbound.request("GET", two.url)


async def test_not_inside_a_transaction_whoever_acts(work: SteppedWork):
    async with work.step():
        for view in (work, work.acting_as("kernel")):
            with pytest.raises(RuntimeError, match="inside a transaction"):
                await view.outbound.request("GET", "http://127.0.0.1:1/")


async def test_who_can_not_be_reached_is_a_failure_on_record(platform: TestPlatform, work: SteppedWork, tenant: UUID):
    async with Server(response()) as server:
        pass
    with pytest.raises(OutboundFailed):
        await work.outbound.request("GET", server.url)
    (call,) = await calls(platform, tenant)
    assert (call["outcome"], call["status"]) == ("failed", None)


async def test_an_answer_has_a_time(work: SteppedWork):
    hold = asyncio.Event()
    async with Server(b"", hold=hold) as server:
        with pytest.raises(OutboundTimeout):
            await work.outbound.request("GET", server.url, timeout=0.2)
        await asyncio.wait_for(server.hung_up.wait(), 5)
    async with Server(b"HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhel", hold=hold) as server:
        with pytest.raises(OutboundTimeout):
            await work.outbound.request("GET", server.url, timeout=0.2)
        with pytest.raises(OutboundTimeout):
            async with work.outbound.stream("GET", server.url, timeout=0.2) as answer:
                assert [piece async for piece in answer.pieces()] == []


async def test_an_answer_has_a_size(work: SteppedWork):
    async with Server(response(b"x" * 1_000)) as server:
        assert len((await work.outbound.request("GET", server.url, max_bytes=1_000)).body) == 1_000
        with pytest.raises(OutboundTooLarge):
            await work.outbound.request("GET", server.url, max_bytes=999)


async def test_pieces_come_as_they_are_sent_and_leaving_hangs_up(
    platform: TestPlatform, work: SteppedWork, tenant: UUID
):
    async with Server(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nfirst", hold=asyncio.Event()) as server:
        async with work.outbound.stream("GET", f"{server.url}/s") as answer, aclosing(answer.pieces()) as pieces:
            assert await anext(pieces) == b"first"
            assert await calls(platform, tenant) == []
        await asyncio.wait_for(server.hung_up.wait(), 5)
    assert [call["object"] for call in await calls(platform, tenant)] == [f"GET {server.url}/s"]


async def test_the_trace_goes_on(work: SteppedWork):
    context = SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(1))
    async with Server(response()) as server:
        with trace.use_span(NonRecordingSpan(context)):
            await work.outbound.request("GET", server.url)
    assert f"traceparent: 00-{0xA1:032x}-{0xB2:016x}-01" in server.requests[0].lower()


async def test_what_is_no_address_is_not_called(work: SteppedWork):
    with pytest.raises(OutboundAddressInvalid):
        await work.outbound.request("GET", "http://user:password@127.0.0.1/")


async def test_a_header_can_not_smuggle_another(work: SteppedWork):
    async with Server(response()) as server:
        with pytest.raises(OutboundFailed):
            await work.outbound.request("GET", server.url, headers={"x-a": "1\r\nx-b: 2"})
    assert server.requests == []


async def test_calls_are_counted(platform: TestPlatform, work: SteppedWork):
    async with Server(response(status=503)) as server:
        await work.outbound.request("GET", server.url)
    assert b'pegboard_outbound_requests_total{outcome="5xx",plugin="caller"}' in platform.runtime.metrics.render()


async def test_a_private_address_is_refused_on_record_and_counted(
    tmp_path: Path, database_url: str, redis_url: str, tenant: UUID
):
    """A platform whose plugins.toml allows none, as it is by default."""
    running = TestPlatform(make_config(tmp_path, database_url, redis_url, PEGBOARD_OUTBOUND__PRIVATE_HOSTS="{}"))
    await running.start()
    try:
        async with Server(response()) as server:
            caller = made_up("caller", outbound_hosts=["localhost", "127.0.0.1"])
            registry = compile_registry([*running.registry.plugins, caller], [])
            work = stepped(running, registry, tenant)
            port = server.url.rpartition(":")[2]
            for host in ("127.0.0.1", "localhost"):
                with pytest.raises(OutboundRefused, match="private network"):
                    await work.outbound.request("GET", f"http://{host}:{port}/?key=s3cret")
            with pytest.raises(OutboundRefused):
                await work.outbound.request("GET", "http://localhost/")
            recorded = await calls(running, tenant)
            assert [call["object"] for call in recorded] == [
                f"GET http://127.0.0.1:{port}/", f"GET http://localhost:{port}/", "GET http://localhost/"
            ]  # fmt: skip
            assert {call["outcome"] for call in recorded} == {"refused"}
            metrics = running.runtime.metrics.render()
            assert b'pegboard_outbound_requests_total{outcome="refused",plugin="caller"} 3.0' in metrics
    finally:
        await running.stop()
    assert server.connections == 0
