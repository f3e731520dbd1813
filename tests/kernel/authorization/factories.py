"""What the tests of authorization start from: people, and what administrators ask for."""

from collections.abc import Sequence
from typing import Any

import httpx

from tests.support.platform import Account

__all__ = ("ADMINISTRATOR", "PATH", "code", "edit", "read_matrix")

PATH = "/api/v1/admin/authorization"
ADMINISTRATOR = ("member", "administrator")


def code(answer: httpx.Response) -> str:
    """The problem's code."""
    return answer.json()["code"]


async def read_matrix(by: Account) -> tuple[dict[str, Any], str]:
    """The matrix and its ETag."""
    answer = await by.client.get(f"{PATH}/matrix")
    assert answer.status_code == 200, answer.text
    return answer.json(), answer.headers["ETag"]


async def edit(
    by: Account, *changes: Sequence[Any], reason: str = "because", etag: str | None = None
) -> httpx.Response:
    """Change cells (role, permission, granted) of the matrix as it is now, or as `etag` names it."""
    named = etag or (await by.client.get(f"{PATH}/roles")).headers.get("ETag", '"0"')
    return await by.client.patch(
        f"{PATH}/matrix",
        json={
            "changes": [{"role": role, "permission": name, "granted": granted} for role, name, granted in changes],
            "reason": reason,
        },
        headers={"If-Match": named},
    )
