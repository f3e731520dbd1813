"""The admin API of plugins tells whoever sends it no body what it takes."""

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
