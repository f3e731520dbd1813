"""One lock-out for passwords and second factors, which its owner gets past."""

import asyncio
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.config.model import AuthConfig
from pegboard.factors.attempts import Attempts, seconds_to_wait
from pegboard.factors.errors import LockedOut
from pegboard.identity.devices import Device
from pegboard_sdk.ids import new_id

from tests.kernel.factors.conftest import AUTH, MakePerson, Person
from tests.support.authenticator import Authenticator
from tests.support.mailbox import Mailbox
from tests.support.platform import TestPlatform

FREE = AuthConfig().lockout_attempts
WIDE = FREE * 5


def network(person: Person, number: int) -> httpx.AsyncClient:
    """Somebody in another network."""
    return person.platform.client(
        x_tenant=str(person.account.tenant_id), x_forwarded_for=f"198.51.{number // 250}.{number % 250}"
    )


async def guess(person: Person, client: httpx.AsyncClient) -> httpx.Response:
    return await client.post(f"{AUTH}/login", json={"email": person.account.email, "password": "a wrong guess"})


async def fill(person: Person, number: int, *, device: Device) -> None:
    """As if so many attempts from a device had failed."""
    async with person.platform.work(person.platform.system(person.account.tenant_id)) as work:
        for _ in range(number):
            await Attempts(work).begin(person.account.email, device)


@given(beyond=st.integers(-100, 10_000))
def test_who_guesses_waits_longer_each_time_and_never_for_ever(beyond: int) -> None:
    config = AuthConfig()
    wait = seconds_to_wait(beyond, config)
    assert wait == 0 if beyond < 0 else config.lockout_base <= wait <= config.lockout_max
    assert wait <= seconds_to_wait(beyond + 1, config)


async def test_passwords_and_codes_count_together(person: MakePerson) -> None:
    ada = await person(totp=True)
    challenge = await ada.challenged()
    client = network(ada, 1)
    for _ in range(FREE // 2):
        assert (await guess(ada, client)).status_code == 401
        assert (await ada.answer(challenge, client, code="000000")).status_code == 401
    for locked in (await guess(ada, client), await ada.answer(challenge, client, code=ada.code())):
        assert (locked.status_code, locked.json()["code"]) == (429, "auth.locked_out")
        assert 0 < int(locked.headers["retry-after"]) <= 30
    assert (await ada.log_in(network(ada, 2))).status_code == 202, "another network is another matter"


async def test_the_right_password_alone_forgives_nothing(
    platform: TestPlatform, person: MakePerson, mailbox: Mailbox
) -> None:
    """Who knows it could go on guessing codes for ever."""
    ada = await person(totp=True)
    client = network(ada, 1)
    for _ in range(FREE):
        challenge = await ada.challenged(client)
        assert (await ada.answer(challenge, client, code="000000")).status_code == 401
    assert (await ada.log_in(client)).status_code == 429
    await platform.drain()
    told = "test: somebody tries to guess your second factor"
    assert mailbox.subjects(ada.account.email).count(told) == 1


async def test_who_gets_in_starts_anew(person: MakePerson) -> None:
    ada = await person(totp=True)
    client = network(ada, 1)
    for _ in range(FREE - 1):
        await guess(ada, client)
    # At the last free attempt the right password is taken back, and so the code is the last one again.
    assert (await ada.answer(await ada.challenged(client), client, code=ada.code())).status_code == 200
    for _ in range(FREE):
        assert (await guess(ada, client)).status_code == 401
    assert (await guess(ada, client)).status_code == 429


async def test_a_hundred_at_once_are_no_better(person: MakePerson) -> None:
    ada = await person()
    answers = await asyncio.gather(*(guess(ada, network(ada, 1)) for _ in range(3 * FREE)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) == FREE
    assert statuses.count(429) == 2 * FREE


async def test_a_day_without_an_attempt_forgets_all(person: MakePerson) -> None:
    ada = await person()
    await fill(ada, FREE, device=Device(ip="127.0.0.1"))
    assert (await ada.log_in()).status_code == 429
    await ada.forget_attempts()
    assert (await ada.log_in()).status_code == 200


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_it_tells_nothing_of_who_has_an_account(platform: TestPlatform, tenant: UUID, known: bool) -> None:
    email = (await platform.account(tenant)).email if known else f"{new_id().hex}@example.com"
    client = platform.anonymous(tenant)
    body = {"email": email, "password": "a wrong guess"}
    answers = [await client.post(f"{AUTH}/login", json=body) for _ in range(FREE + 1)]
    assert [answer.status_code for answer in answers] == [401] * FREE + [429]


async def under_attack(person: Person) -> None:
    """Somebody guesses from many networks."""
    for number in range(WIDE):
        await fill(person, 1, device=Device(ip=f"203.0.113.{number}"))
    assert (await person.log_in(network(person, 9))).status_code == 429


async def test_an_attack_from_many_networks_is_stopped_and_the_owner_gets_in(person: MakePerson) -> None:
    key = Authenticator()
    ada = await person(totp=True, passkey=key)
    trusted = await ada.answer(
        await ada.challenged(network(ada, 1)), network(ada, 1), code=ada.code(), trust_device=True
    )
    await ada.forget_steps()
    await under_attack(ada)
    # From a network that the owner was logged in from lately,
    here = network(ada, 1)
    assert (await ada.answer(await ada.challenged(here), here, code=ada.code())).status_code == 200
    # on a device that they trust,
    anywhere = network(ada, 2)
    assert (await ada.log_in(anywhere, device_token=trusted.json()["device_token"])).status_code == 200
    # and by a passkey, which nobody guesses.
    challenge = (await anywhere.get(f"{AUTH}/passkeys/challenge")).json()
    assert (await ada.answer(challenge, anywhere, passkey=key.get(challenge["passkey"]))).status_code == 200
    assert (await ada.log_in(network(ada, 9))).status_code == 429, "nobody else does"


async def test_a_reset_by_mail_ends_an_attacks_lock(
    platform: TestPlatform, person: MakePerson, mailbox: Mailbox
) -> None:
    ada = await person()
    await under_attack(ada)
    await ada.anonymous.post(f"{AUTH}/password/forgotten", json={"email": ada.account.email})
    await platform.drain()
    body = {"token": mailbox.token(ada.account.email), "password": "another good long password"}
    assert (await ada.anonymous.post(f"{AUTH}/password/reset", json=body)).status_code == 204
    assert (await ada.log_in(network(ada, 9), password="another good long password")).status_code == 200


async def test_a_trusted_device_has_a_count_of_its_own(person: MakePerson) -> None:
    """A stolen one is no better for guessing the password."""
    ada = await person(totp=True)
    opened = await ada.answer(await ada.challenged(), code=ada.code(), trust_device=True)
    token = opened.json()["device_token"]
    for number in range(FREE):
        assert (await ada.log_in(network(ada, number), password="wrong", device_token=token)).status_code == 401
    assert (await ada.log_in(network(ada, FREE), password="wrong", device_token=token)).status_code == 429
    assert (await ada.log_in()).status_code == 202


async def test_a_network_is_what_a_subscriber_holds(platform: TestPlatform, tenant: UUID) -> None:
    async with platform.work(platform.system(tenant)) as work:
        for number in range(FREE):
            await Attempts(work).begin("ada@example.com", Device(ip=f"2001:db8:1:2::{number:x}"))
        with pytest.raises(LockedOut):
            await Attempts(work).begin(" Ada@Example.com", Device(ip="2001:db8:1:2:ffff::1"))
        await Attempts(work).begin("ada@example.com", Device(ip="2001:db8:1:3::1"))


async def test_an_empty_redis_forgets_nothing(platform: TestPlatform, person: MakePerson) -> None:
    ada = await person()
    await fill(ada, FREE, device=Device(ip="127.0.0.1"))
    await platform.runtime.redis.flushdb()
    assert (await ada.log_in()).status_code == 429
