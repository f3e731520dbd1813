"""What the tests of tenancy start from."""

from typing import Any

import httpx

from tests.support.mailbox import Mailbox
from tests.support.platform import Account, TestPlatform

__all__ = ("ORGANISATIONS", "TENANTS", "code", "invited_token", "make_organisation", "organisation_with")

ORGANISATIONS = "/api/v1/organisations"
TENANTS = "/api/v1/admin/tenants"


def code(answer: httpx.Response) -> str:
    """The problem's code, or the status where it is none."""
    return answer.json()["code"] if answer.status_code >= 400 else str(answer.status_code)


async def make_organisation(by: Account, **fields: Any) -> dict[str, Any]:
    """An organisation that `by` owns."""
    answer = await by.client.post(ORGANISATIONS, json={"type": "agency", "name": "Acme"} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def invited_token(
    platform: TestPlatform, mailbox: Mailbox, by: Account, path: str, email: str, role: str = "member"
) -> str:
    """The token of an invitation that `by` sends."""
    answer = await by.client.post(f"{path}/invitations", json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    await platform.drain()
    return mailbox.token(email)


async def organisation_with(
    platform: TestPlatform, mailbox: Mailbox, maker: Account, **members: Account
) -> tuple[str, dict[str, Any]]:
    """The path of an organisation of `maker`'s and what it is, with `members` by role."""
    made = await make_organisation(maker)
    path = f"{ORGANISATIONS}/{made['id']}"
    for role, account in members.items():
        token = await invited_token(platform, mailbox, maker, path, account.email, role)
        answer = await account.client.post("/api/v1/organisation-invitations/accept", json={"token": token})
        assert answer.status_code == 200, answer.text
    return path, made
