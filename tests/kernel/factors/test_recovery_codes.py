"""Recovery codes."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from pegboard.factors.recovery import CODES, digest_of, new_codes

from tests.kernel.factors.conftest import AUTH, MakePerson, entries
from tests.support.at_rest import dump
from tests.support.mailbox import Mailbox
from tests.support.platform import TestPlatform


@given(upper=st.booleans(), joint=st.sampled_from(["", "-", " "]))
def test_a_code_may_be_written_in_many_ways(upper: bool, joint: str) -> None:
    code = new_codes()[0]
    written = code.replace("-", joint).replace("0", "o").replace("1", "l")
    assert digest_of(written.upper() if upper else written) == digest_of(code)


def test_codes_are_all_different() -> None:
    assert len({digest_of(code) for _ in range(50) for code in new_codes()}) == 50 * CODES


async def test_each_is_good_once_and_its_owner_hears_of_it(
    platform: TestPlatform, person: MakePerson, mailbox: Mailbox
) -> None:
    ada = await person(totp=True)
    for used, code in enumerate(ada.codes[:7], start=1):
        opened = await ada.answer(await ada.challenged(), recovery_code=code.upper())
        assert opened.status_code == 200, opened.text
        shown = (await ada.client.get(f"{AUTH}/factors")).json()
        assert (shown["recovery_codes"], shown["recovery_codes_low"]) == (CODES - used, used == 7)
    again = await ada.answer(await ada.challenged(), recovery_code=ada.codes[0])
    assert again.json()["code"] == "auth.factor_refused"
    await platform.drain()
    mails = [mail.get_content() for mail in mailbox.to(ada.account.email) if "was used" in mail["Subject"]]
    assert len(mails) == 7
    assert [("time for new ones" in mail) for mail in mails] == [False] * 6 + [True]
    used_codes = await entries(platform, ada.account.tenant_id, "account:recovery_code.use")
    assert [entry.after for entry in used_codes] == [{"left": left} for left in range(3, 10)]


async def test_of_twenty_who_come_with_one_at_a_time_one_gets_in(person: MakePerson) -> None:
    ada = await person(totp=True)
    challenges = [await ada.challenged() for _ in range(20)]
    answers = await asyncio.gather(*(ada.answer(one, recovery_code=ada.codes[0]) for one in challenges))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert {answer.status_code for answer in answers} <= {200, 401, 429}
    assert (await ada.client.get(f"{AUTH}/factors")).json()["recovery_codes"] == CODES - 1


async def test_new_ones_make_the_old_ones_worthless(
    platform: TestPlatform, person: MakePerson, mailbox: Mailbox
) -> None:
    ada = await person(totp=True)
    answer = await ada.client.post(f"{AUTH}/factors/recovery-codes")
    assert answer.headers["cache-control"] == "no-store"
    old, ada.codes = ada.codes, answer.json()["recovery_codes"]
    assert not set(old) & set(ada.codes)
    assert (await ada.answer(await ada.challenged(), recovery_code=old[0])).status_code == 401
    assert (await ada.answer(await ada.challenged(), recovery_code=ada.codes[0])).status_code == 200
    await platform.drain()
    assert "test: you have new recovery codes" in mailbox.subjects(ada.account.email)


async def test_they_come_with_a_factor_and_not_without(person: MakePerson) -> None:
    ada = await person()
    assert (await ada.client.post(f"{AUTH}/factors/recovery-codes")).status_code == 422


async def test_nothing_that_proves_anything_is_in_the_database(person: MakePerson, database_url: str) -> None:
    ada = await person(totp=True)
    opened = (await ada.answer(await ada.challenged(), code=ada.code(), trust_device=True)).json()
    challenge = await ada.challenged()
    dumped = await dump(database_url)
    assert ada.account.email in dumped
    for name, text in {
        "seed": ada.seed.hex(),
        "seed as text": ada.seed.decode("latin-1"),
        "recovery code": ada.codes[0],
        "recovery code without dashes": ada.codes[0].replace("-", ""),
        "recovery code's digest": digest_of(ada.codes[0]).hex(),
        "device token": opened["device_token"],
        "challenge": challenge["challenge"],
    }.items():
        assert text not in dumped, f"the {name} is in the database"
