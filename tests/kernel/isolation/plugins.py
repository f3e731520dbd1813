"""The plugins `shop` and `bank`: the shop's routes call the bank's service, and either does what a test asks for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from litestar import Controller
from pegboard.plugins.registry import LoadedPlugin
from pegboard_sdk import UnitOfWork
from pegboard_sdk.access import Permission, RoleGrant
from pegboard_sdk.http import Stream, get, post
from pegboard_sdk.manifest import Capabilities, Manifest
from pegboard_sdk.services import Service

__all__ = ("BANK", "Behaviour", "Clock", "bank", "shop")

SHOP = str(Path(__file__).parent)
BANK = "/plugins/bank"
PERMISSION = Permission("shop:thing.read", "read things")
Act = Callable[[UnitOfWork], Awaitable[None]]

_BANK_CODE = """
class Ledger:
    def __init__(self, behaviour):
        self.behaviour = behaviour

    async def fund(self, uow):
        await self.behaviour.bank(uow)
        if self.behaviour.bank_error is not None:
            raise self.behaviour.bank_error

    def ponder(self, sleep, seconds):
        sleep(seconds)
"""


class Clock:
    """Stands still unless moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Funding(Protocol):
    """The bank's service."""

    async def fund(self, uow: UnitOfWork) -> None: ...

    def ponder(self, sleep: Callable[[float], None], seconds: float) -> None: ...


async def nothing(_: UnitOfWork) -> None:
    """All is well."""


class Behaviour:
    """What the plugins do when they are called. `entered` has one for each call of the shop."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """All is well again."""
        self.shop: Act = nothing
        self.bank: Act = nothing
        self.shop_error: Exception | None = None
        self.bank_error: Exception | None = None
        self.stream_error: Exception | None = None
        self.entered: asyncio.Queue[None] = asyncio.Queue()
        self.gate: asyncio.Event | None = None
        self.wait: Callable[[float], None] = time.sleep


def bank(behaviour: Behaviour) -> LoadedPlugin:
    """Offers `Funding`; its code is in a folder of its own."""
    scope: dict[str, Any] = {}
    exec(compile(_BANK_CODE, f"{BANK}/service.py", "exec"), scope)  # the code above
    service = Service(protocol=Funding, implementation=scope["Ledger"](behaviour))
    return LoadedPlugin(name="bank", manifest=_manifest("bank"), distribution="tests", folder=BANK, services=(service,))


def shop(behaviour: Behaviour, *, version: str = "1.0.0") -> LoadedPlugin:
    """Its routes do what `behaviour` says."""

    class Things(Controller):
        path = "/"

        @get("/things", permission=PERMISSION.name)
        async def list_things(self, uow: UnitOfWork) -> list[int]:
            """Do it."""
            behaviour.entered.put_nowait(None)
            await behaviour.shop(uow)
            if behaviour.gate is not None:
                await behaviour.gate.wait()
            if behaviour.shop_error is not None:
                raise behaviour.shop_error
            return []

        @post("/things", permission=PERMISSION.name)
        async def create_thing(self, uow: UnitOfWork) -> list[int]:
            """Have the bank do it."""
            await uow.service(Funding).fund(uow)
            return []

        @post("/slow", permission=PERMISSION.name, timeout=0.2)
        async def create_slowly(self, uow: UnitOfWork) -> list[int]:
            """Do it, for not too long."""
            await behaviour.shop(uow)
            return []

        @get("/block", permission=PERMISSION.name)
        async def read_block(self, uow: UnitOfWork) -> list[int]:
            """Have the bank block the event loop."""
            uow.service(Funding).ponder(behaviour.wait, 0.5)
            return []

        @get("/stream", permission=PERMISSION.name, media_type="text/event-stream")
        async def read_stream(self, uow: UnitOfWork) -> Stream:
            """A piece, and then what comes."""

            async def pieces() -> AsyncIterator[bytes]:
                yield b"data: 1\n\n"
                if behaviour.stream_error is not None:
                    raise behaviour.stream_error

            return Stream(pieces(), media_type="text/event-stream")

    return LoadedPlugin(
        name="shop",
        manifest=_manifest("shop", version),
        distribution="tests",
        folder=SHOP,
        controllers=(Things,),
        permissions=(PERMISSION,),
        roles=(RoleGrant("member", (PERMISSION.name,)),),
    )


def _manifest(name: str, version: str = "1.0.0") -> Manifest:
    capabilities = Capabilities(services=["Funding"])
    return Manifest(name=name, summary="For tests.", version=version, sdk=">=1,<2", capabilities=capabilities)
