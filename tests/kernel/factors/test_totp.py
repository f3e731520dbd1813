"""Authenticator apps."""

import asyncio
import base64
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.factors.totp import PERIOD, code_at, otpauth_uri, seed_text, step_at, step_of

from tests.kernel.factors.conftest import AUTH, MakePerson, add_totp, entries
from tests.support.mailbox import Mailbox
from tests.support.platform import TestPlatform

RFC_SEED = b"12345678901234567890"
RFC_6238 = {59: "94287082", 1111111109: "07081804", 1234567890: "89005924", 20000000000: "65353130"}
"""Appendix B, SHA-1: eight digits, of which ours are the last six."""


@pytest.mark.parametrize(("now", "code"), RFC_6238.items())
def test_codes_are_those_of_the_standard(now: int, code: str) -> None:
    assert code_at(RFC_SEED, step_at(now)) == code[-6:]
    assert step_of(RFC_SEED, code[-6:], now=now, after=0) == now // PERIOD


@given(seed=st.binary(min_size=20, max_size=20), now=st.integers(10**9, 4 * 10**9), drift=st.integers(-4, 4))
def test_a_clock_may_be_one_step_off(seed: bytes, now: int, drift: int) -> None:
    step = step_at(now) + drift
    near = {code_at(seed, step_at(now) + off) for off in (-1, 0, 1)}
    taken = step_of(seed, code_at(seed, step), now=now, after=0)
    assert (taken is not None) == (code_at(seed, step) in near)
    if taken is not None:
        assert step_of(seed, code_at(seed, step), now=now, after=step_at(now) + 1) is None


def test_the_address_is_what_apps_read() -> None:
    uri = urlsplit(otpauth_uri(RFC_SEED, issuer="Gigs & more: Berlin", account="ada+x@example.com"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert uri.path == "/Gigs%20%26%20more%20%20Berlin:ada%2Bx@example.com"
    assert parse_qs(uri.query) == {
        "secret": [seed_text(RFC_SEED)],
        "issuer": ["Gigs & more  Berlin"],
        "digits": ["6"],
        "period": ["30"],
    }


async def test_an_app_is_set_up_and_then_asked_for(
    platform: TestPlatform, tenant: UUID, person: MakePerson, mailbox: Mailbox
) -> None:
    ada = await person()
    begun = (await ada.client.post(f"{AUTH}/factors/totp")).json()
    assert begun["uri"].startswith("otpauth://totp/test:")
    assert (await ada.log_in()).status_code == 200, "it doesn't count before it is confirmed"
    wrong = await ada.client.post(f"{AUTH}/factors/totp/confirm", json={"code": "000000"})
    assert wrong.status_code == 422

    added = await add_totp(ada)
    assert len(set(added.json()["recovery_codes"])) == 10
    shown = (await ada.client.get(f"{AUTH}/factors")).json()
    assert shown["totp"]["created_at"]
    assert (shown["recovery_codes"], shown["recovery_codes_low"], shown["required_from"]) == (10, False, None)
    await platform.drain()
    assert mailbox.subjects(ada.account.email) == ["test: a second factor was added"]
    assert [entry.after for entry in await entries(platform, tenant, "account:factor.manage")] == [
        {"factor": "an authenticator app", "change": change} for change in ("added", "asked for", "asked for")
    ]

    challenge = await ada.challenged()
    assert challenge["methods"] == ["totp", "recovery_code"]
    assert "passkey" not in challenge
    refused = await ada.answer(challenge, code="000000")
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.factor_refused")
    spaced = f"{ada.code()[:3]} {ada.code()[3:]}"
    opened = await ada.answer(challenge, code=spaced)
    assert opened.status_code == 200, opened.text
    token = await platform.runtime.authenticator.tokens.verify(opened.json()["access_token"])
    assert set(token.amr) == {"pwd", "otp", "mfa"}
    outcomes = [(one.outcome, one.reason) for one in await entries(platform, tenant, "account:session.open")]
    assert ("refused", "bad second factor") in outcomes


async def test_a_code_is_good_once_however_many_come_with_it(person: MakePerson) -> None:
    ada = await person(totp=True)
    challenges = [await ada.challenged() for _ in range(20)]
    code = ada.code()
    answers = await asyncio.gather(
        *(
            ada.answer(challenge, ada.platform.client(x_tenant=str(ada.account.tenant_id)), code=code)
            for challenge in challenges
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 200
    assert set(statuses[1:]) <= {401, 429}, statuses
    await ada.forget_attempts()
    again = await ada.answer(await ada.challenged(), code=code)
    assert again.json()["code"] == "auth.factor_refused"


async def test_a_challenge_is_good_for_one_answer(person: MakePerson) -> None:
    ada = await person(totp=True)
    challenge = await ada.challenged()
    assert (await ada.answer(challenge, code=ada.code())).status_code == 200
    again = await ada.answer(challenge, recovery_code=ada.codes[0])
    assert again.json()["code"] == "auth.challenge_invalid"
    assert (await ada.client.get(f"{AUTH}/factors")).json()["recovery_codes"] == 10, "nothing was used up"


async def test_a_challenge_is_worth_nothing_elsewhere(platform: TestPlatform, person: MakePerson) -> None:
    ada = await person(totp=True)
    challenge = await ada.challenged()
    elsewhere = platform.anonymous(await platform.tenant())
    assert (await ada.answer(challenge, elsewhere, code=ada.code())).json()["code"] == "auth.challenge_invalid"
    text = challenge["challenge"]
    for changed in (text[:-1] + ("A" if text[-1] != "A" else "B"), text[:-2], "pgc_", "pgc_AAAA"):
        response = await ada.answer({"challenge": changed}, code=ada.code())
        assert (response.status_code, response.json()["code"]) == (401, "auth.challenge_invalid"), changed
    step_up = (await ada.client.get(f"{AUTH}/step-up/challenge")).json()
    assert (await ada.answer(step_up, code=ada.code())).json()["code"] == "auth.challenge_invalid"
    both = await ada.answer(challenge, code=ada.code(), recovery_code=ada.codes[0])
    assert both.status_code == 422


async def test_another_password_makes_a_challenge_worthless(platform: TestPlatform, person: MakePerson) -> None:
    ada = await person(totp=True)
    challenge = await ada.challenged()
    async with platform.work(platform.system(ada.account.tenant_id)) as work:
        await work.execute(
            "UPDATE kernel_accounts SET password_hash = password_hash || ' ' WHERE id = $1", ada.account.id
        )
    assert (await ada.answer(challenge, code=ada.code())).json()["code"] == "auth.challenge_invalid"


async def test_a_second_app_takes_the_place_of_the_first(person: MakePerson) -> None:
    ada = await person(totp=True)
    first, codes = ada.seed, ada.codes
    added = await add_totp(ada)
    assert added.json()["recovery_codes"] == [], "those of the first app are good"
    second, ada.seed = ada.seed, first
    assert (await ada.answer(await ada.challenged(), code=ada.code())).status_code == 401
    ada.seed = second
    assert (await ada.answer(await ada.challenged(), code=ada.code())).status_code == 200
    assert (await ada.answer(await ada.challenged(), recovery_code=codes[0])).status_code == 200


async def test_what_is_set_up_too_slowly_is_begun_again(platform: TestPlatform, person: MakePerson) -> None:
    ada = await person()
    begun = (await ada.client.post(f"{AUTH}/factors/totp")).json()
    ada.seed = base64.b32decode(begun["secret"] + "=" * (-len(begun["secret"]) % 8))
    async with platform.work(platform.system(ada.account.tenant_id)) as work:
        await work.execute(
            "UPDATE kernel_totp_seeds SET created_at = now() - interval '301 seconds' WHERE account_id = $1",
            ada.account.id,
        )
    late = await ada.client.post(f"{AUTH}/factors/totp/confirm", json={"code": ada.code()})
    assert late.status_code == 422
    assert "begin again" in late.json()["detail"]


async def test_removing_the_app_ends_all_that_came_with_it(
    platform: TestPlatform, person: MakePerson, mailbox: Mailbox
) -> None:
    ada = await person(totp=True)
    assert (await ada.client.delete(f"{AUTH}/factors/totp")).status_code == 204
    assert (await ada.log_in()).status_code == 200
    shown = (await ada.client.get(f"{AUTH}/factors")).json()
    assert (shown["totp"], shown["recovery_codes"], shown["recovery_codes_low"]) == (None, 0, False)
    assert (await ada.client.delete(f"{AUTH}/factors/totp")).status_code == 404
    await platform.drain()
    assert "test: a second factor was removed" in mailbox.subjects(ada.account.email)
