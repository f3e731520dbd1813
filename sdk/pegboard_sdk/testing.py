"""Testing a plugin against the real platform: PostgreSQL, Valkey and the kernel, with the plugin on.

A plugin's `conftest.py` needs one line a fixture:

    from pegboard_sdk.testing import kernel_fixture, tenant_fixture

    kernel = kernel_fixture("reviews")
    tenant = tenant_fixture()

The servers are started at the first use, once a test run (all of pytest-xdist's workers share them), and end with it,
however it ends. `pip install "pegboard[testing]"` brings what is needed. Tests run in the event loop of the session:

    [tool.pytest.ini_options]
    asyncio_mode = "auto"
    asyncio_default_fixture_loop_scope = "session"
    asyncio_default_test_loop_scope = "session"
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Any, Protocol
from uuid import UUID

import httpx
import msgspec

from pegboard_sdk.access import Principal
from pegboard_sdk.events import Event
from pegboard_sdk.work import UnitOfWork

__all__ = ("GROUP", "Examples", "OpenKernel", "TestAccount", "TestKernel", "kernel_fixture", "tenant_fixture")

GROUP = "pegboard.testing"
"""The entry-point group in which the kernel offers its `OpenKernel`, named `kernel`."""

_SETTINGS = {
    "asyncio_mode": "auto",
    "asyncio_default_fixture_loop_scope": "session",
    "asyncio_default_test_loop_scope": "session",
}


class TestAccount(Protocol):
    """Somebody with an account and an open session."""

    __test__ = False

    @property
    def id(self) -> UUID:
        """The account's id."""
        ...

    @property
    def email(self) -> str:
        """The address that they log in with."""
        ...

    @property
    def tenant_id(self) -> UUID:
        """Their marketplace."""
        ...

    @property
    def token(self) -> str:
        """Their access token."""
        ...

    @property
    def principal(self) -> Principal:
        """Who they are in a unit of work."""
        ...

    @property
    def client(self) -> httpx.AsyncClient:
        """Sends requests as them: `await account.client.get("/api/v1/reviews/reviews")`."""
        ...


class TestKernel(Protocol):
    """The platform in this process, with the plugin and what it requires on."""

    __test__ = False

    @property
    def plugin(self) -> str:
        """The name of the plugin under test."""
        ...

    async def tenant(self) -> UUID:
        """Make a marketplace. One for each test keeps tests apart."""
        ...

    async def account(self, tenant: UUID, roles: Sequence[str] = ("member",), *, name: str = "Ada") -> TestAccount:
        """Make an account with `roles`, and log it in.

        Raises:
            pegboard_sdk.errors.InvalidInput: there is no such role.
        """
        ...

    def anonymous(self, tenant: UUID) -> httpx.AsyncClient:
        """Sends requests as somebody who is not logged in, in `tenant`."""
        ...

    def system(self, tenant: UUID) -> Principal:
        """The principal that jobs and event handlers act as."""
        ...

    def work(self, who: Principal | TestAccount) -> AbstractAsyncContextManager[UnitOfWork]:
        """A unit of work; it commits at the end of the block and rolls back on an exception."""
        ...

    async def drain(self, *, include_delayed: bool = False) -> int:
        """Deliver the events and run the jobs that are due, and those that these start, until none is left. Gives how
        many ran. With `include_delayed` those that are due later run too; failing ones again until they are dead.
        """
        ...

    async def secret(self, name: str, value: str, *, tenant: UUID | None = None) -> None:
        """Put a secret (`<plugin>.<snake_case>`) into the vault, for one marketplace or for the whole platform."""
        ...

    async def emit(self, tenant: UUID, event: Event) -> UUID:
        """Write an event, as whatever plugin emits it would, in a transaction of its own; `drain` delivers it."""
        ...


class Examples(Protocol):
    """What a plugin may offer the conformance kit: a function `examples` in the module `conformance` of its package.

    The kit delivers each job and event twice, with payloads that it makes up from their Structs, calls each route with
    a made-up body, and looks at a made-up row of each table. Where a payload must name rows that exist, or no made-up
    body or row fits, this function makes rows in `tenant` and gives instances: of the jobs' `payload` and the event
    handlers' `type` Structs, and of the Structs that routes take as their bodies. Nothing but the kit imports the
    module.
    """

    async def __call__(self, kernel: TestKernel, tenant: UUID) -> Sequence[msgspec.Struct]:
        """Make rows; give payloads and bodies, which may refer to them."""
        ...


class OpenKernel(Protocol):
    """How the kernel starts a platform for tests. Found by its entry point; plugins use `kernel_fixture`."""

    def __call__(
        self,
        plugin: str,
        *,
        settings: Mapping[str, Mapping[str, Any]],
        secrets: Mapping[str, str],
        also: Sequence[str],
    ) -> AbstractAsyncContextManager[TestKernel]:
        """A running platform until the end of the block.

        Raises:
            RuntimeError: the plugin, or one of `also`, can't be loaded; the text says why.
        """
        ...


def kernel_fixture(
    plugin: str,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    secrets: Mapping[str, str] | None = None,
    also: Sequence[str] = (),
) -> Callable[..., AsyncIterator[TestKernel]]:
    """A pytest fixture: one `TestKernel` for the whole run, with `plugin`, what it requires and the plugins of `also`
    on. `settings` are by plugin and field, as in `plugins.toml`; `secrets` go into the vault, for the whole platform.

    The test run fails with a sentence that says what to do where the plugin can't be loaded or pytest's settings lack
    the session's event loop.
    """
    pytest, pytest_asyncio = _pytest()

    async def kernel(request: Any) -> AsyncIterator[TestKernel]:
        """The platform, with the plugin on."""
        _require_session_loop(request.config)
        opening = _open_kernel()(plugin, settings=settings or {}, secrets=secrets or {}, also=also)
        try:
            running = await opening.__aenter__()
        except RuntimeError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        try:
            yield running
        finally:
            await opening.__aexit__(None, None, None)

    return pytest_asyncio.fixture(scope="session", loop_scope="session")(kernel)


def tenant_fixture(kernel: str = "kernel") -> Callable[..., Awaitable[UUID]]:
    """A pytest fixture: a marketplace for each test. `kernel` is the name of the fixture that `kernel_fixture` made."""
    _, pytest_asyncio = _pytest()

    async def tenant(request: Any) -> UUID:
        """A marketplace for this test alone."""
        running: TestKernel = request.getfixturevalue(kernel)
        return await running.tenant()

    return pytest_asyncio.fixture(loop_scope="session")(tenant)


def _pytest() -> tuple[Any, Any]:
    """pytest and pytest-asyncio, which only tests need."""
    try:
        import pytest
        import pytest_asyncio
    except ImportError as error:
        raise ImportError(f'{error.name} is not installed: `pip install "pegboard[testing]"`') from error
    return pytest, pytest_asyncio


def _open_kernel() -> OpenKernel:
    found = list(entry_points(group=GROUP, name="kernel"))
    if not found:
        raise RuntimeError('Pegboard is not installed here: `pip install "pegboard[testing]"`')
    return found[0].load()


def _require_session_loop(config: Any) -> None:
    """A platform lives in one event loop: tests in another would hang or fail in ways that nobody understands."""
    import pytest

    chosen = {
        "asyncio_mode": config.getoption("asyncio_mode", None) or config.getini("asyncio_mode"),
        "asyncio_default_fixture_loop_scope": config.getoption("asyncio_default_fixture_loop_scope", None)
        or config.getini("asyncio_default_fixture_loop_scope"),
        "asyncio_default_test_loop_scope": config.getini("asyncio_default_test_loop_scope"),
    }
    if {name: str(getattr(value, "value", value)) for name, value in chosen.items()} != _SETTINGS:
        lines = "\n".join(f'    {name} = "{value}"' for name, value in _SETTINGS.items())
        pytest.fail(
            "Tests of a plugin run in one event loop. Put this into the project's pyproject.toml:\n\n"
            f"    [tool.pytest.ini_options]\n{lines}\n",
            pytrace=False,
        )
