"""What is proven by mail: an address, another address, a forgotten password. Who asks is told nothing."""

import asyncio
from uuid import UUID

import httpx
import pytest
from pegboard.identity.letters import reset_password
from pegboard.identity.markets import Market
from pegboard.identity.one_time_tokens import MAX_AN_HOUR
from pegboard_sdk.ids import new_id

from tests.support.at_rest import dump
from tests.support.mailbox import Mailbox
from tests.support.platform import PASSWORD, Account, TestPlatform
from tests.support.statements import statements

AUTH = "/api/v1/auth"
OTHER = "another correct horse"


async def logs_in(platform: TestPlatform, account: Account, *, email: str = "", password: str = PASSWORD) -> bool:
    answer = await platform.anonymous(account.tenant_id).post(
        f"{AUTH}/login", json={"email": email or account.email, "password": password}
    )
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


async def post(platform: TestPlatform, tenant: UUID, path: str, **body: str) -> httpx.Response:
    return await platform.anonymous(tenant).post(f"{AUTH}/{path}", json=body)


async def reset_token(platform: TestPlatform, account: Account, mailbox: Mailbox) -> str:
    assert (await post(platform, account.tenant_id, "password/forgotten", email=account.email)).status_code == 202
    await platform.drain()
    return mailbox.token(account.email)


# Telling nothing


@pytest.mark.parametrize("path", ["password/forgotten", "email/verification"])
async def test_known_and_unknown_addresses_get_the_same_answer_and_the_same_work(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox, path: str
) -> None:
    ada = await platform.account(tenant)
    async with platform.work(platform.system(tenant)) as work:
        await work.execute("UPDATE kernel_accounts SET email_verified_at = NULL WHERE id = $1", ada.id)
    anonymous = platform.anonymous(tenant)
    seen = []
    for email in (ada.email, f"{new_id().hex}@example.com"):
        async with statements(platform) as run:
            answer = await anonymous.post(f"{AUTH}/{path}", json={"email": email})
            seen.append((answer.status_code, answer.content, [*run]))
    assert seen[0] == seen[1]
    assert seen[0][0] == 202
    assert any("kernel_jobs" in statement for statement in seen[0][2])
    await platform.drain()
    assert len(mailbox.to(ada.email)) == 1


async def test_an_address_that_somebody_else_has_is_told_to_its_owner_only(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada, eve = await platform.account(tenant), await platform.account(tenant)
    answers = [
        await eve.client.post(f"{AUTH}/email/change", json={"email": email})
        for email in (ada.email, f"{new_id().hex}@example.com")
    ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(202, {"expires_in": 86_400})] * 2
    await platform.drain()
    assert mailbox.subjects(ada.email) == ["test: you have an account already"]
    assert "pgo_" not in mailbox.to(ada.email)[0].get_content()


async def test_nobody_s_inbox_is_flooded(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada = await platform.account(tenant)
    for _ in range(MAX_AN_HOUR + 3):
        assert (await post(platform, tenant, "password/forgotten", email=ada.email)).status_code == 202
    await platform.drain()
    assert len(mailbox.to(ada.email)) == MAX_AN_HOUR


async def test_a_disabled_account_gets_no_mail(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada = await platform.account(tenant)
    token = await reset_token(platform, ada, mailbox)
    async with platform.work(platform.system(tenant)) as work:
        await work.execute("UPDATE kernel_accounts SET status = 'disabled' WHERE id = $1", ada.id)
    assert (await post(platform, tenant, "password/forgotten", email=ada.email)).status_code == 202
    await platform.drain()
    assert len(mailbox.to(ada.email)) == 1
    assert (await post(platform, tenant, "password/reset", token=token, password=OTHER)).status_code == 400


# Passwords


async def test_a_forgotten_password_is_replaced(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada = await platform.account(tenant)
    assert (await post(platform, tenant, "password/forgotten", email=f" {ada.email.upper()} ")).status_code == 202
    await platform.drain()
    token = mailbox.token(ada.email)
    short = await post(platform, tenant, "password/reset", token=token, password="too short")
    assert (short.status_code, short.json()["errors"][0]["pointer"]) == (422, "/password")
    answer = await post(platform, tenant, "password/reset", token=token, password=OTHER)
    assert answer.status_code == 204, answer.text
    assert not await logs_in(platform, ada)
    assert await logs_in(platform, ada, password=OTHER)
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 401, "all sessions ended"
    await platform.drain()
    assert mailbox.subjects(ada.email)[-1] == "test: your password was changed"


async def test_a_token_is_good_for_one_use(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    ada = await platform.account(tenant)
    first = await reset_token(platform, ada, mailbox)
    second = await reset_token(platform, ada, mailbox)
    answers = await asyncio.gather(
        *(post(platform, tenant, "password/reset", token=second, password=OTHER) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [204, 400, 400, 400, 400]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 400} == {"auth.one_time_token_invalid"}
    late = await post(platform, tenant, "password/reset", token=first, password=PASSWORD)
    assert late.status_code == 400, "an earlier token must not undo it"


async def test_a_token_is_of_one_tenant_one_purpose_and_one_time(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada = await platform.account(tenant)
    token = await reset_token(platform, ada, mailbox)
    elsewhere = await platform.tenant()
    for answer in (
        await post(platform, elsewhere, "password/reset", token=token, password=OTHER),
        await post(platform, tenant, "email/verify", token=token),
        await post(platform, tenant, "email/confirm", token=token),
        await post(platform, tenant, "password/reset", token=token[:-1] + "x", password=OTHER),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "auth.one_time_token_invalid")
    async with platform.work(platform.system(tenant)) as work:
        await work.execute("UPDATE kernel_one_time_tokens SET expires_at = now()")
    assert (await post(platform, tenant, "password/reset", token=token, password=OTHER)).status_code == 400
    assert await logs_in(platform, ada)


async def test_changing_a_password_ends_the_other_sessions(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada = await platform.account(tenant)
    token = await reset_token(platform, ada, mailbox)
    pair = await platform.anonymous(tenant).post(f"{AUTH}/login", json={"email": ada.email, "password": PASSWORD})
    phone = platform.client(authorization=f"Bearer {pair.json()['access_token']}")
    wrong = await ada.client.post(
        f"{AUTH}/password/change", json={"current_password": "a wrong password", "password": OTHER}
    )
    assert (wrong.status_code, wrong.json()["code"]) == (401, "auth.bad_credentials")
    body = {"current_password": PASSWORD, "password": OTHER}
    assert (await ada.client.post(f"{AUTH}/password/change", json=body)).status_code == 204
    assert (await ada.client.get(f"{AUTH}/me")).status_code == 200, "the session that asked stands"
    assert (await phone.get(f"{AUTH}/me")).status_code == 401
    assert await logs_in(platform, ada, password=OTHER)
    late = await post(platform, tenant, "password/reset", token=token, password=PASSWORD)
    assert late.status_code == 400, "a token of before must not undo it"
    await platform.drain()
    assert mailbox.subjects(ada.email)[-1] == "test: your password was changed"


# Addresses


async def test_an_address_is_proven(platform: TestPlatform, tenant: UUID, mailbox: Mailbox) -> None:
    email = f"{new_id().hex}@example.com"
    registered = await post(platform, tenant, "register", email=email, password=PASSWORD, display_name="Ada")
    assert registered.json()["email_verified"] is False
    await platform.drain()
    assert (await post(platform, tenant, "email/verify", token=mailbox.token(email))).status_code == 204
    assert (await post(platform, tenant, "email/verify", token=mailbox.token(email))).status_code == 400
    pair = await post(platform, tenant, "login", email=email, password=PASSWORD)
    me = await platform.client(authorization=f"Bearer {pair.json()['access_token']}").get(f"{AUTH}/me")
    assert me.json()["email_verified"] is True
    assert (await post(platform, tenant, "email/verification", email=email)).status_code == 202
    await platform.drain()
    assert len(mailbox.to(email)) == 1, "there is nothing to prove any more"


async def test_an_address_is_changed_once_the_new_one_is_proven(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada = await platform.account(tenant)
    old_token = await reset_token(platform, ada, mailbox)
    email = f"{new_id().hex}@example.com"
    assert (await ada.client.post(f"{AUTH}/email/change", json={"email": email})).status_code == 202
    await platform.drain()
    assert mailbox.subjects(ada.email)[-1] == "test: your e-mail address is to be changed"
    assert await logs_in(platform, ada), "nothing has changed so far"
    assert (await post(platform, tenant, "email/confirm", token=mailbox.token(email))).status_code == 204
    assert (await post(platform, tenant, "email/confirm", token=mailbox.token(email))).status_code == 400
    await platform.drain()
    assert mailbox.subjects(ada.email)[-1] == "test: your e-mail address was changed"
    assert await logs_in(platform, ada, email=email)
    assert not await logs_in(platform, ada)
    late = await post(platform, tenant, "password/reset", token=old_token, password=OTHER)
    assert late.status_code == 400, "what went to the old address is worth nothing"


async def test_an_address_that_was_taken_meanwhile_is_refused(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada, eve = await platform.account(tenant), await platform.account(tenant)
    email = f"{new_id().hex}@example.com"
    for account in (ada, eve):
        assert (await account.client.post(f"{AUTH}/email/change", json={"email": email})).status_code == 202
    await platform.drain()
    tokens = [message.get_content().split("code: ")[1].split()[0] for message in mailbox.to(email)]
    answers = await asyncio.gather(*(post(platform, tenant, "email/confirm", token=token) for token in tokens))
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_a_link_is_to_the_configured_page() -> None:
    market = Market(name="Market", link="https://app.example/{kind}#{token}")
    letter = reset_password("ada@example.com", market, "pgo_x")
    assert "https://app.example/reset_password#pgo_x" in letter.text


async def test_neither_mails_nor_tokens_are_in_the_database(
    platform: TestPlatform, tenant: UUID, mailbox: Mailbox, database_url: str
) -> None:
    ada = await platform.account(tenant)
    email = f"{new_id().hex}@example.com"
    unknown = f"{new_id().hex}@example.com"
    assert (await post(platform, tenant, "password/forgotten", email=unknown)).status_code == 202
    await ada.client.post(f"{AUTH}/email/change", json={"email": email})
    await platform.drain()
    dumped = await dump(database_url)
    assert "kernel.send_mail" in dumped
    for text in (mailbox.token(email), mailbox.token(email).removeprefix("pgo_"), unknown, "Enter this code"):
        assert text not in dumped
