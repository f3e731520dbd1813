"""The admin API of plugins says what it takes, and survives the code that it is asked to turn on."""

import pytest

from tests.support.fleet import Fleet, operator
from tests.support.workshop import Workshop


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "plans",
            "Send a JSON object in the body. It may have: enable, disable, upgrade, uninstall, data, cascade."
            " GET /docs shows more.",
        ),
        ("hello/uninstall", "Send a JSON object in the body. It must have: data. GET /docs shows more."),
    ],
)
async def test_a_missing_body_is_a_problem_that_says_what_to_send(
    fleet: Fleet, workshop: Workshop, path: str, expected: str
) -> None:
    workshop.add("hello")
    account = await operator(await fleet.api())

    answer = await account.client.post(f"/api/v1/admin/plugins/{path}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "body_missing"
    assert answer.json()["detail"] == expected


async def test_what_ends_a_process_when_it_is_imported_ends_another_one(fleet: Fleet, workshop: Workshop) -> None:
    workshop.add("hello", "import os\nos._exit(3)\n")
    workshop.add("raising", "1 / 0\n")
    account = await operator(await fleet.api())

    for name, told in (("hello", "status 3"), ("raising", "raising can't be enabled: importing")):
        refused = await account.client.post(f"/api/v1/admin/plugins/{name}/enable")
        assert (refused.status_code, refused.json()["code"]) == (409, "plugin_unusable")
        assert told in refused.json()["detail"]
        assert not workshop.imported(name)
    assert (await account.client.get("/api/v1/admin/plugins")).status_code == 200
