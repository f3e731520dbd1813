"""A fresh proof by any second factor."""

import time
from uuid import UUID

from pegboard.identity.sessions import ProvenSession, SessionService

from tests.kernel.factors.conftest import AUTH, MakePerson, Person
from tests.support.authenticator import Authenticator
from tests.support.platform import PASSWORD, TestPlatform


async def grown_old(person: Person) -> None:
    """Their session's proof is an hour old."""
    session_id, old = person.account.principal.session_id, int(time.time()) - 3600
    assert session_id is not None
    session = ProvenSession(
        session_id=session_id,
        account_id=person.account.id,
        tenant_id=person.account.tenant_id,
        roles=["member"],
        authenticated_at=old,
        methods=["pwd"],
    )
    person.client.headers["authorization"] = f"Bearer {SessionService(person.platform.runtime).sign(session)}"


async def is_fresh(person: Person, token: str) -> bool:
    headers = {"authorization": f"Bearer {token}"}
    return (await person.client.get(f"{AUTH}/factors/passkeys/challenge", headers=headers)).status_code == 200


async def test_each_factor_will_do(person: MakePerson) -> None:
    key = Authenticator()
    ada = await person(totp=True, passkey=key)
    await grown_old(ada)
    refused = await ada.client.post(f"{AUTH}/factors/recovery-codes")
    assert refused.json()["code"] == "auth.step_up_required"
    challenge = (await ada.client.get(f"{AUTH}/step-up/challenge")).json()
    assert challenge["methods"] == ["totp", "passkey", "recovery_code"]

    async def answer(**fields: object) -> str:
        fresh = (await ada.client.get(f"{AUTH}/step-up/challenge")).json()
        if "passkey" in fields:
            fields["passkey"] = key.get(fresh["passkey"])
        response = await ada.client.post(f"{AUTH}/step-up/challenge", json={"challenge": fresh["challenge"], **fields})
        assert response.status_code == 200, response.text
        return response.json()["access_token"]

    recovery_code = ada.codes[0]
    for fields in ({"code": ada.code()}, {"recovery_code": recovery_code}, {"passkey": True}):
        assert await is_fresh(ada, await answer(**fields))
        await grown_old(ada)
        async with ada.platform.work(ada.platform.system(ada.account.tenant_id)) as work:
            sql = "SELECT methods FROM kernel_sessions WHERE id = $1"
            assert "mfa" in await work.fetchval(sql, ada.account.principal.session_id)


async def test_the_password_alone_will_not(platform: TestPlatform, person: MakePerson) -> None:
    ada = await person(totp=True)
    await grown_old(ada)
    asked = await ada.client.post(f"{AUTH}/step-up", json={"password": PASSWORD})
    assert asked.status_code == 202
    body = {"challenge": asked.json()["challenge"], "code": ada.code()}
    proven = await ada.client.post(f"{AUTH}/step-up/challenge", json=body)
    assert await is_fresh(ada, proven.json()["access_token"])


async def test_who_has_no_factor_is_told_to_use_the_password(person: MakePerson) -> None:
    ada = await person()
    refused = await ada.client.get(f"{AUTH}/step-up/challenge")
    assert refused.status_code == 404
    assert "password" in refused.json()["detail"]


async def test_a_challenge_is_one_sessions(platform: TestPlatform, tenant: UUID, person: MakePerson) -> None:
    ada = await person(totp=True)
    opened = await ada.answer(await ada.challenged(), code=ada.code())
    other = platform.client(authorization=f"Bearer {opened.json()['access_token']}")
    challenge = (await ada.client.get(f"{AUTH}/step-up/challenge")).json()
    body = {"challenge": challenge["challenge"], "recovery_code": ada.codes[0]}
    assert (await other.post(f"{AUTH}/step-up/challenge", json=body)).json()["code"] == "auth.challenge_invalid"
    assert (await ada.client.post(f"{AUTH}/step-up/challenge", json=body)).status_code == 200


async def test_a_stolen_token_is_not_good_for_guessing_codes(person: MakePerson) -> None:
    ada = await person(totp=True)
    challenge = (await ada.client.get(f"{AUTH}/step-up/challenge")).json()
    body = {"challenge": challenge["challenge"], "code": "000000"}
    codes = [(await ada.client.post(f"{AUTH}/step-up/challenge", json=body)).json()["code"] for _ in range(11)]
    assert codes == ["auth.factor_refused"] * 10 + ["auth.locked_out"]
