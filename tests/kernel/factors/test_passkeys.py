"""Passkeys: made, used instead of a password and besides it, copied, renamed, removed."""

import asyncio
import base64
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.config.model import AuthConfig, Config, HttpConfig
from pegboard.factors.errors import FactorRefused, PasskeyRefused, PasskeysUnavailable
from pegboard.factors.passkeys import Passkeys
from pegboard.factors.schemas import PasskeyAssertion, PasskeyRegistration
from pegboard_sdk.ids import new_id

from tests.kernel.factors.conftest import AUTH, MakePerson, Person, add_passkey, entries
from tests.support.authenticator import Authenticator, encoded
from tests.support.mailbox import Mailbox
from tests.support.platform import TestPlatform


async def passkey_log_in(person: Person, passkey: Authenticator, **more: Any) -> Any:
    """By the passkey alone, as somebody whom nobody knows yet."""
    challenge = (await person.anonymous.get(f"{AUTH}/passkeys/challenge")).json()
    assert challenge["methods"] == ["passkey"]
    assert challenge["passkey"]["userVerification"] == "required"
    assert challenge["passkey"]["allowCredentials"] == []
    return await person.answer(challenge, passkey=passkey.get(challenge["passkey"], **more))


async def test_it_logs_in_without_a_password(platform: TestPlatform, person: MakePerson, mailbox: Mailbox) -> None:
    key = Authenticator()
    ada = await person(passkey=key)
    assert len(ada.codes) == 10
    opened = await passkey_log_in(ada, key)
    assert opened.status_code == 200, opened.text
    token = await platform.runtime.authenticator.tokens.verify(opened.json()["access_token"])
    assert token.sub == ada.account.id
    assert set(token.amr) == {"hwk", "user", "mfa"}
    shown = (await ada.client.get(f"{AUTH}/factors")).json()["passkeys"]
    assert [(one["label"], one["backed_up"]) for one in shown] == [("Key", False)]
    assert shown[0]["last_used_at"]
    await platform.drain()
    (mail,) = mailbox.to(ada.account.email)
    assert "the passkey “Key”" in mail.get_content()


async def test_it_is_a_second_factor(platform: TestPlatform, person: MakePerson) -> None:
    key = Authenticator(verifies=False, synced=True)
    ada = await person(passkey=key)
    challenge = await ada.challenged()
    assert challenge["methods"] == ["passkey", "recovery_code"]
    assert [one["transports"] for one in challenge["passkey"]["allowCredentials"]] == [["usb"]]
    opened = await ada.answer(challenge, passkey=key.get(challenge["passkey"]))
    assert opened.status_code == 200, opened.text
    token = await platform.runtime.authenticator.tokens.verify(opened.json()["access_token"])
    assert set(token.amr) == {"pwd", "swk", "mfa"}


async def test_alone_it_must_have_asked_who_holds_it(person: MakePerson) -> None:
    key = Authenticator(verifies=False)
    ada = await person(passkey=key)
    refused = await passkey_log_in(ada, key)
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.factor_refused")


async def test_what_was_signed_once_is_not_taken_again(person: MakePerson) -> None:
    key = Authenticator(counts=False)
    ada = await person(passkey=key)
    challenge = (await ada.anonymous.get(f"{AUTH}/passkeys/challenge")).json()
    signed = key.get(challenge["passkey"])
    answers = await asyncio.gather(*(ada.answer(challenge, passkey=signed) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    other = (await ada.anonymous.get(f"{AUTH}/passkeys/challenge")).json()
    assert (await ada.answer(other, passkey=signed)).status_code == 401


async def test_a_copy_is_noticed(platform: TestPlatform, tenant: UUID, person: MakePerson, mailbox: Mailbox) -> None:
    key = Authenticator()
    ada = await person(passkey=key)
    assert (await passkey_log_in(ada, key)).status_code == 200
    key.count -= 1  # as a copy that was made before
    assert (await passkey_log_in(ada, key)).status_code == 401
    await platform.drain()
    assert "test: a passkey of yours may have been copied" in mailbox.subjects(ada.account.email)
    newest = (await entries(platform, tenant, "account:session.open"))[0]
    assert (newest.outcome, newest.reason) == ("refused", "the passkey's count went back")
    assert (await passkey_log_in(ada, key)).status_code == 200, "the one that is ahead goes on"


@pytest.mark.parametrize("what", ["origin", "handle", "key", "unknown"])
async def test_anothers_is_refused(person: MakePerson, what: str) -> None:
    key = Authenticator()
    ada = await person(passkey=key)
    handle = encoded(new_id().bytes) if what == "handle" else None
    if what == "origin":
        key.origin = "https://evil.example"
    if what == "key":
        key._key = Authenticator()._key
    if what == "unknown":
        key.credential_id = b"another credential"
    refused = await passkey_log_in(ada, key, handle=handle)
    assert (refused.status_code, refused.json()["code"]) == (401, "auth.factor_refused")


async def test_another_accounts_passkey_is_no_second_factor(person: MakePerson) -> None:
    key = Authenticator()
    await person(passkey=key)
    ada = await person(totp=True)
    challenge = await ada.challenged()
    digest = {"challenge": "", "rpId": key.rp_id, "allowCredentials": []}
    assert (await ada.answer(challenge, passkey=key.get(digest))).status_code == 401


async def test_it_is_made_for_its_challenge_and_its_site(person: MakePerson) -> None:
    ada = await person()
    url = f"{AUTH}/factors/passkeys"
    first = (await ada.client.get(f"{url}/challenge")).json()
    second = (await ada.client.get(f"{url}/challenge")).json()
    assert first["publicKey"]["rp"] == {"id": "localhost", "name": "test"}
    assert first["publicKey"]["user"]["name"] == ada.account.email
    made = Authenticator().create(first["publicKey"])
    elsewhere = Authenticator(origin="https://evil.example").create(first["publicKey"])
    for challenge, credential, code in (
        (second, made, "auth.passkey_refused"),
        (first, elsewhere, "auth.passkey_refused"),
        ({"challenge": "pgc_x"}, made, "auth.challenge_invalid"),
    ):
        body = {"challenge": challenge["challenge"], "credential": credential, "label": "Key"}
        assert (await ada.client.post(url, json=body)).json()["code"] == code
    body = {"challenge": first["challenge"], "credential": made, "label": "Key"}
    assert (await ada.client.post(url, json=body)).status_code == 201
    assert (await ada.client.post(url, json=body)).json()["code"] == "auth.challenge_invalid", "once is enough"


async def test_one_passkey_is_one_accounts(person: MakePerson) -> None:
    key = Authenticator()
    ada = await person(passkey=key)
    again = await add_passkey(ada, key)
    assert (again.status_code, again.json()["code"]) == (409, "auth.passkey_known")
    challenge = (await ada.client.get(f"{AUTH}/factors/passkeys/challenge")).json()
    assert [one["id"] for one in challenge["publicKey"]["excludeCredentials"]] == [encoded(key.credential_id)]
    bob = await person()
    assert (await add_passkey(bob, key)).status_code == 409


async def test_several_are_named_and_removed(platform: TestPlatform, tenant: UUID, person: MakePerson) -> None:
    first, second = Authenticator(), Authenticator()
    ada = await person(passkey=first)
    added = await add_passkey(ada, second, "Phone")
    assert added.json()["recovery_codes"] == []
    url = f"{AUTH}/factors/passkeys/{added.json()['passkey']['id']}"
    renamed = await ada.client.patch(url, json={"label": "Old phone"})
    assert renamed.json()["label"] == "Old phone"
    assert (await ada.client.patch(url, json={"label": " "})).status_code == 400
    bob = await person()
    assert (await bob.client.patch(url, json={"label": "Mine"})).status_code == 404
    assert (await bob.client.delete(url)).status_code == 404
    assert (await ada.client.delete(url)).status_code == 204
    assert (await passkey_log_in(ada, second)).status_code == 401
    assert (await passkey_log_in(ada, first)).status_code == 200
    changes = [entry.after for entry in await entries(platform, tenant, "account:factor.manage")]
    assert [one["change"] for one in changes if one] == ["removed", "renamed", "added", "added"]


def test_they_are_bound_to_the_domain_that_people_use() -> None:
    def of(**http: Any) -> Passkeys:
        domain = http.pop("domain", "")
        return Passkeys(Config(http=HttpConfig(**http), auth=AuthConfig(passkey_domain=domain)))

    assert (of().domain, of()._origins) == ("localhost", ["http://localhost:8000"])
    shop = of(public_url="https://api.market.example", allowed_origins=["https://app.market.example", "https://x.test"])
    assert (shop.domain, shop._origins) == ("api.market.example", ["https://api.market.example"])
    wide = of(
        public_url="https://api.market.example", allowed_origins=["https://app.market.example"], domain="market.example"
    )
    assert wide._origins == ["https://api.market.example", "https://app.market.example"]
    for address in ("http://192.0.2.7:8000", "http://[2001:db8::1]"):
        with pytest.raises(PasskeysUnavailable):
            of(public_url=address)


JUNK = st.binary(max_size=200).map(encoded)


@given(raw=st.binary(min_size=1, max_size=80).map(encoded), first=JUNK, second=JUNK, third=JUNK)
def test_junk_is_refused_and_nothing_else(raw: str, first: str, second: str, third: str) -> None:
    passkeys = Passkeys(Config())
    signed = {"clientDataJSON": first, "authenticatorData": second, "signature": third}
    made = {"clientDataJSON": first, "attestationObject": second}
    frame = {"id": raw, "rawId": raw, "type": "public-key"}
    try:
        assertion = msgspec.convert({**frame, "response": signed}, PasskeyAssertion)
        registration = msgspec.convert({**frame, "response": made}, PasskeyRegistration)
    except msgspec.ValidationError:
        return
    with pytest.raises(FactorRefused):
        passkeys.signed(assertion, b"challenge", account_id=new_id(), public_key=b"junk", verify_user=False)
    with pytest.raises(PasskeyRefused):
        passkeys.made(registration, b"challenge")


@given(data=st.data())
def test_what_is_changed_anywhere_is_refused(data: st.DataObject) -> None:
    """One byte of what was signed, or of the attestation, is another."""
    passkeys, key, account_id = Passkeys(Config()), Authenticator(), new_id()
    creation = passkeys.creation(b"c" * 32, [], market="test", account_id=account_id, email="a@b", name="Ada")
    registration = key.create(msgspec.to_builtins(creation))
    made = passkeys.made(msgspec.convert(registration, PasskeyRegistration), b"c" * 32)
    signed = key.get(msgspec.to_builtins(passkeys.request(b"d" * 32)))
    good = msgspec.convert(signed, PasskeyAssertion)
    said = passkeys.signed(good, b"d" * 32, account_id=account_id, public_key=made.public_key, verify_user=True)
    assert (said.sign_count, said.methods) == (1, ("hwk", "user"))
    field = data.draw(st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]))
    raw = bytearray(base64.urlsafe_b64decode(signed["response"][field] + "=="))
    raw[data.draw(st.integers(0, 999)) % len(raw)] ^= data.draw(st.integers(1, 255))
    signed["response"][field] = encoded(bytes(raw))
    with pytest.raises(FactorRefused):
        passkeys.signed(
            msgspec.convert(signed, PasskeyAssertion),
            b"d" * 32,
            account_id=account_id,
            public_key=made.public_key,
            verify_user=True,
        )
