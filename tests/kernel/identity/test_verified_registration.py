"""Where addresses must be proven, an account is whose password came with the proof, and nothing tells who has one."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from pegboard_sdk.ids import new_id

from tests.support.mailbox import Mailbox
from tests.support.platform import PASSWORD, TestPlatform
from tests.support.servers import BUILT_IN, make_config
from tests.support.statements import statements

AUTH = "/api/v1/auth"
OF_EVE = "the password that eve chose"


@pytest.fixture(scope="module")
async def market(
    tmp_path_factory: pytest.TempPathFactory, database_url: str, redis_url: str, mailbox: Mailbox
) -> AsyncIterator[TestPlatform]:
    """A platform where addresses must be proven."""
    folder: Path = tmp_path_factory.mktemp("market")
    environ = {"PEGBOARD_AUTH__REGISTRATION": "verified", **mailbox.environ}
    running = TestPlatform(make_config(folder, database_url, redis_url, plugins=BUILT_IN, **environ))
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def tenant(market: TestPlatform) -> UUID:
    return await market.tenant()


@pytest.fixture
def email() -> str:
    return f"{new_id().hex}@example.com"


async def post(market: TestPlatform, tenant: UUID, path: str, **body: str) -> httpx.Response:
    return await market.anonymous(tenant).post(f"{AUTH}/{path}", json=body)


async def register(
    market: TestPlatform, tenant: UUID, email: str, password: str = PASSWORD, name: str = "Ada"
) -> httpx.Response:
    answer = await post(market, tenant, "register", email=email, password=password, display_name=name)
    await market.drain()
    return answer


async def test_there_is_no_logging_in_before_the_proof(
    market: TestPlatform, tenant: UUID, mailbox: Mailbox, email: str
) -> None:
    answer = await register(market, tenant, email)
    assert (answer.status_code, answer.json()) == (202, {"email": email, "expires_in": 86_400})
    assert (await post(market, tenant, "login", email=email, password=PASSWORD)).status_code == 401
    assert (await post(market, tenant, "email/verify", token=mailbox.token(email))).status_code == 204
    pair = await post(market, tenant, "login", email=email, password=PASSWORD)
    me = await market.client(authorization=f"Bearer {pair.json()['access_token']}").get(f"{AUTH}/me")
    assert (me.json()["display_name"], me.json()["email_verified"]) == ("Ada", True)


async def test_an_address_with_an_account_gets_the_same_answer_and_the_same_work(
    market: TestPlatform, tenant: UUID, mailbox: Mailbox, email: str
) -> None:
    ada = await market.account(tenant)
    anonymous = market.anonymous(tenant)
    asked = []
    for address in (ada.email, email):
        async with statements(market) as run:
            body = {"email": address, "password": OF_EVE, "display_name": "Eve"}
            answer = await anonymous.post(f"{AUTH}/register", json=body)
            asked.append([*run])
        assert (answer.status_code, answer.json()) == (202, {"email": address, "expires_in": 86_400})
    assert asked[0] == asked[1]
    await market.drain()
    assert mailbox.subjects(ada.email) == ["test: you have an account already"]
    assert (await post(market, tenant, "login", email=ada.email, password=PASSWORD)).status_code == 200
    assert (await post(market, tenant, "login", email=ada.email, password=OF_EVE)).status_code == 401


@pytest.mark.parametrize("eve_comes", ["first", "last"])
async def test_who_registers_somebody_else_s_address_does_not_choose_the_password(
    market: TestPlatform, tenant: UUID, mailbox: Mailbox, email: str, eve_comes: str
) -> None:
    attempts = [(PASSWORD, "Ada"), (OF_EVE, "Eve")]
    for password, name in attempts if eve_comes == "last" else attempts[::-1]:
        assert (await register(market, tenant, email, password, name)).status_code == 202
    letters = mailbox.to(email)
    token_of_ada = letters[0 if eve_comes == "last" else 1].get_content().split("code: ")[1].split()[0]
    token_of_eve = letters[1 if eve_comes == "last" else 0].get_content().split("code: ")[1].split()[0]
    assert (await post(market, tenant, "email/verify", token=token_of_ada)).status_code == 204
    assert (await post(market, tenant, "email/verify", token=token_of_eve)).status_code == 400
    assert (await post(market, tenant, "login", email=email, password=OF_EVE)).status_code == 401
    pair = await post(market, tenant, "login", email=email, password=PASSWORD)
    me = await market.client(authorization=f"Bearer {pair.json()['access_token']}").get(f"{AUTH}/me")
    assert me.json()["display_name"] == "Ada"


async def test_who_asks_for_another_message_chooses_a_password(
    market: TestPlatform, tenant: UUID, mailbox: Mailbox, email: str
) -> None:
    """Several may have registered the address meanwhile: none of their passwords may win."""
    await register(market, tenant, email, OF_EVE)
    assert (await post(market, tenant, "email/verification", email=email)).status_code == 202
    await market.drain()
    assert mailbox.subjects(email)[-1] == "test: choose another password"
    body = {"token": mailbox.token(email), "password": PASSWORD}
    assert (await post(market, tenant, "password/reset", **body)).status_code == 204
    assert (await post(market, tenant, "login", email=email, password=PASSWORD)).status_code == 200


async def test_an_account_of_before_must_prove_its_address(
    market: TestPlatform, tenant: UUID, mailbox: Mailbox
) -> None:
    ada = await market.account(tenant)
    async with market.work(market.system(tenant)) as work:
        await work.execute("UPDATE kernel_accounts SET email_verified_at = NULL WHERE id = $1", ada.id)
    refused = await post(market, tenant, "login", email=ada.email, password=PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.email_not_verified")
    wrong = await post(market, tenant, "login", email=ada.email, password=OF_EVE)
    assert wrong.json()["code"] == "auth.bad_credentials", "only who knows the password is told"
    assert (await post(market, tenant, "email/verification", email=ada.email)).status_code == 202
    await market.drain()
    assert (await post(market, tenant, "email/verify", token=mailbox.token(ada.email))).status_code == 204
    assert (await post(market, tenant, "login", email=ada.email, password=PASSWORD)).status_code == 200


async def test_what_administrators_make_needs_no_proof(market: TestPlatform, tenant: UUID) -> None:
    ada = await market.account(tenant)
    assert (await post(market, tenant, "login", email=ada.email, password=PASSWORD)).status_code == 200
