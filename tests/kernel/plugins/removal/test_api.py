"""Uninstalling over HTTP: the platform operator's alone."""

from collections.abc import AsyncIterator

import pytest
from pegboard.plugins.removal.receipts import SignedReceipt, find_receipts

from tests.kernel.plugins.removal.conftest import Site
from tests.support.platform import TestPlatform

UNINSTALL = "/api/v1/admin/plugins/shelves/uninstall"


@pytest.fixture
async def running(site: Site) -> AsyncIterator[TestPlatform]:
    """The site's platform, with the plugin off."""
    platform = TestPlatform(site.config)
    await platform.start()
    yield platform
    await platform.stop()


async def test_the_operator_keeps_and_purges(running: TestPlatform, site: Site) -> None:
    await site.add_book()
    operator = (await running.account(await running.tenant(), ["operator"])).client

    kept = await operator.post(UNINSTALL, json={"data": "keep"})
    purged = await operator.post(UNINSTALL, json={"data": "purge"})

    assert (kept.status_code, kept.json()["receipt"]["tables"]["shelves_books"]) == (200, 1)
    assert (purged.status_code, purged.json()["receipt"]["by"]["kind"]) == (200, "account")
    assert await site.tables() == set()
    found: list[SignedReceipt] = await find_receipts(site.owner, "shelves")
    assert [str(one.receipt.id) for one in found] == [kept.json()["receipt"]["id"], purged.json()["receipt"]["id"]]
    again = await operator.post(UNINSTALL, json={"data": "purge"})
    assert (again.status_code, again.json()["code"]) == (404, "plugin_absent")


async def test_nobody_else_may(running: TestPlatform, site: Site) -> None:
    administrator = await running.account(await running.tenant(), ["administrator"])

    answer = await administrator.client.post(UNINSTALL, json={"data": "purge"})

    assert answer.status_code == 403
    assert await site.tables() != set()


async def test_a_plugin_that_is_on_is_refused(running: TestPlatform) -> None:
    operator = (await running.account(await running.tenant(), ["operator"])).client

    answer = await operator.post(UNINSTALL.replace("shelves", "finance"), json={"data": "purge"})

    assert (answer.status_code, answer.json()["code"]) == (409, "plugin_on")
