"""API keys: what they may do, and how they end."""

import asyncio
from uuid import UUID

import pytest
from pegboard.runtime import Runtime
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditLog

from tests.kernel.machines.conftest import ACCOUNTS, KEYS, code, make_credential, make_key, make_service, with_key
from tests.support.fleet import until
from tests.support.platform import Account, TestPlatform

ME = "/api/v1/auth/me"
READ = "account:self.read"


async def test_a_key_acts_for_its_owner_within_its_scopes(platform: TestPlatform, ada: Account) -> None:
    made = await make_key(ada, READ)
    assert made["state"] == "active"
    assert made["last_used_at"] is None
    assert made["secret"].startswith(f"pb_{made['public_id']}_")
    client = with_key(platform, made)
    me = await client.get(ME)
    assert (me.status_code, me.json()["id"]) == (200, str(ada.id))
    # Members may list their sessions; the key may not.
    refused = await client.get("/api/v1/auth/sessions")
    assert (refused.status_code, code(refused)) == (403, "forbidden")
    assert "account:session.list" in refused.json()["detail"]
    # What everybody may do, a key may.
    assert (await client.get("/api/v1/creation_studio/gigs")).status_code == 200


async def test_a_key_is_shown_once(ada: Account) -> None:
    answer = await ada.client.post(KEYS, json={"label": "ci", "scopes": [READ]})
    assert answer.headers["cache-control"] == "no-store"
    secret = answer.json()["secret"]
    listed = await ada.client.get(KEYS)
    assert [key["id"] for key in listed.json()["items"]] == [answer.json()["id"]]
    assert secret not in listed.text
    assert "secret" not in listed.json()["items"][0]


@pytest.mark.parametrize("scopes", [["account:nothing.read"], ["account:session.prove"], []])
async def test_scopes_are_permissions_that_machines_can_use(ada: Account, scopes: list[str]) -> None:
    answer = await ada.client.post(KEYS, json={"label": "ci", "scopes": scopes})
    assert answer.status_code in (400, 422), answer.text


async def test_nobody_makes_a_key_that_does_more_than_they_may(ada: Account) -> None:
    answer = await ada.client.post(KEYS, json={"label": "ci", "scopes": [READ, "account:account.list"]})
    assert (answer.status_code, code(answer)) == (403, "auth.scope_not_held")


async def test_a_key_lives_no_longer_than_the_settings_say(platform: TestPlatform, ada: Account) -> None:
    limit = platform.config.auth.key_max_ttl
    answer = await ada.client.post(KEYS, json={"label": "ci", "scopes": [READ], "expires_in": limit + 1})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/expires_in")


async def test_an_expired_key_is_refused(platform: TestPlatform, ada: Account) -> None:
    made = await make_key(ada, READ)
    async with platform.runtime.database.system_transaction() as connection:
        await connection.execute("UPDATE kernel_sessions SET expires_at = now() WHERE id = $1", UUID(made["id"]))
    refused = await with_key(platform, made).get(ME)
    assert (refused.status_code, code(refused)) == (401, "auth.api_key_invalid")
    assert (await ada.client.get(KEYS)).json()["items"][0]["state"] == "expired"


async def test_a_key_makes_no_keys_and_does_nothing_that_takes_a_fresh_proof(
    platform: TestPlatform, ada: Account
) -> None:
    made = await make_key(ada, READ, "account:api_key.create", "account:self.update", "account:api_key.rotate")
    other = await make_key(ada, "account:session.list")
    client = with_key(platform, made)
    for answer in (
        await client.post(KEYS, json={"label": "more", "scopes": [READ]}),
        await client.post("/api/v1/auth/email/change", json={"email": "other@example.com"}),
        # Nor does it take the place of a key with other scopes.
        await client.post(f"{KEYS}/{other['id']}/rotate", json={}),
    ):
        assert (answer.status_code, code(answer)) == (401, "auth.step_up_required"), answer.text


async def test_revocation_counts_for_writes_at_once_and_for_reads_within_a_second(
    platform: TestPlatform, ada: Account, runtime: Runtime
) -> None:
    made = await make_key(ada, READ, "account:session.end")
    token = made["secret"]
    await runtime.authenticator.start()
    principal = await runtime.authenticator.principal(token, platform.registry)
    assert runtime.authenticator.cached(token, platform.registry) is principal
    assert (await ada.client.delete(f"{KEYS}/{made['id']}")).status_code == 204
    # This process knows at once, another one as soon as its feed has asked.
    assert (await with_key(platform, made).get(ME)).status_code == 401

    async def refused() -> bool:
        return runtime.authenticator.cached(token, platform.registry) is None

    await until(refused)
    assert (await ada.client.delete(f"{KEYS}/{made['id']}")).status_code == 204  # again is no error


async def test_a_write_is_refused_though_the_process_has_not_heard_yet(
    platform: TestPlatform, ada: Account, runtime: Runtime
) -> None:
    made = await make_key(ada, READ)
    await runtime.authenticator.revocations.ensure()
    principal = await runtime.authenticator.principal(made["secret"], platform.registry)
    await ada.client.delete(f"{KEYS}/{made['id']}")
    with pytest.raises(Exception, match="session has ended"):
        async with platform.work(principal):
            pass


async def test_a_known_key_is_read_without_asking_the_database(
    platform: TestPlatform, ada: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make_key(ada, READ)
    client = with_key(platform, made)
    await client.get(ME)

    def fail(*_: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(platform.runtime.authenticator.machines, "of_key", fail)
    assert (await client.get(ME)).status_code == 200


@pytest.mark.parametrize("cut", [-1, 20])
async def test_a_mistyped_key_is_refused_without_asking_the_database(
    platform: TestPlatform, ada: Account, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make_key(ada, READ)

    def fail(*_: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(platform.runtime.authenticator.machines, "_read", fail)
    answer = await platform.client(authorization=f"Bearer {made['secret'][:cut]}-").get(ME)
    assert (answer.status_code, code(answer)) == (401, "auth.api_key_invalid")


async def test_rotation_overlaps(platform: TestPlatform, ada: Account) -> None:
    made = await make_key(ada, READ, "account:api_key.rotate", rate=500)
    # It was declared for that, so the key replaces itself.
    answer = await with_key(platform, made).post(f"{KEYS}/{made['id']}/rotate", json={"overlap": 3600})
    assert answer.status_code == 201, answer.text
    new = answer.json()
    assert (new["scopes"], new["label"], new["rate"]) == (made["scopes"], made["label"], 500)
    for key in (made, new):
        assert (await with_key(platform, key).get(ME)).status_code == 200
    old = (await ada.client.get(KEYS)).json()["items"][1]
    assert (old["state"], old["replaced_by"]) == ("replaced", new["id"])
    assert old["expires_at"] < made["expires_at"]
    again = await ada.client.post(f"{KEYS}/{made['id']}/rotate", json={})
    assert (again.status_code, code(again)) == (409, "auth.credential_ended")


async def test_without_an_overlap_the_old_key_ends_at_once(platform: TestPlatform, ada: Account) -> None:
    made = await make_key(ada, READ)
    await with_key(platform, made).get(ME)
    assert (await ada.client.post(f"{KEYS}/{made['id']}/rotate", json={"overlap": 0})).status_code == 201
    assert (await with_key(platform, made).get(ME)).status_code == 401


async def test_of_many_rotations_at_once_one_makes_a_key(platform: TestPlatform, ada: Account) -> None:
    made = await make_key(ada, READ)
    answers = await asyncio.gather(*(ada.client.post(f"{KEYS}/{made['id']}/rotate", json={}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    assert len((await ada.client.get(KEYS)).json()["items"]) == 2


async def test_the_same_request_twice_makes_one_key(ada: Account) -> None:
    headers, body = {"Idempotency-Key": new_id().hex}, {"label": "ci", "scopes": [READ]}
    first, second = [await ada.client.post(KEYS, json=body, headers=headers) for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["cache-control"] == "no-store"
    assert len((await ada.client.get(KEYS)).json()["items"]) == 1


async def test_a_key_has_a_rate_of_its_own(platform: TestPlatform, ada: Account) -> None:
    client = with_key(platform, await make_key(ada, READ, rate=3))
    answers = [await client.get(ME) for _ in range(5)]
    assert [answer.status_code for answer in answers][:2] == [200, 200]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await ada.client.get(ME)).status_code == 200


async def test_last_use_is_written_down_for_many_at_once(platform: TestPlatform, ada: Account) -> None:
    keys = [await make_key(ada, READ) for _ in range(3)]
    for made in keys[:2]:
        for _ in range(3):
            await with_key(platform, made).get(ME)
    await platform.runtime.authenticator.machines.flush()
    listed = (await ada.client.get(KEYS)).json()["items"]
    assert [key["last_used_at"] is not None for key in listed] == [False, True, True]


async def test_what_a_role_loses_a_key_loses(platform: TestPlatform, admin: Account, runtime: Runtime) -> None:
    robot = await make_service(admin, "administrator")
    made = await make_credential(admin, robot, READ, "account:account.list")
    client = with_key(platform, made)
    assert (await client.get(ACCOUNTS)).status_code == 200
    await runtime.authenticator.start()
    elsewhere = await runtime.authenticator.principal(made["secret"], platform.registry)
    assert elsewhere.may("account:account.list")
    answer = await admin.client.put(f"{ACCOUNTS}/{robot['id']}/roles", json={"roles": []})
    assert answer.status_code == 200, answer.text
    # The key stands, with what is left: here at once, elsewhere within a second.
    assert (await client.get(ME)).status_code == 200
    assert (await client.get(ACCOUNTS)).status_code == 403

    async def lost() -> bool:
        principal = await runtime.authenticator.principal(made["secret"], platform.registry)
        return not principal.may("account:account.list")

    await until(lost)


async def test_what_was_done_with_keys_is_on_record(platform: TestPlatform, tenant: UUID, ada: Account) -> None:
    made = await make_key(ada, READ)
    new = (await ada.client.post(f"{KEYS}/{made['id']}/rotate", json={})).json()
    await ada.client.delete(f"{KEYS}/{new['id']}")
    async with platform.work(platform.system(tenant)) as work:
        page = await work.service(AuditLog).search(work, object_type="credential")
    assert [(entry.action, entry.object_id, entry.actor_id) for entry in page.items] == [
        ("account:api_key.revoke", new["id"], ada.id),
        ("account:api_key.rotate", new["id"], ada.id),
        ("account:api_key.create", made["id"], ada.id),
    ]
    assert page.items[1].after is not None
    assert page.items[1].after["replaces"] == made["id"]


async def test_somebody_elses_key_is_not_there(platform: TestPlatform, tenant: UUID, ada: Account) -> None:
    made = await make_key(ada, READ)
    eve = await platform.account(tenant)
    assert (await eve.client.delete(f"{KEYS}/{made['id']}")).status_code == 404
    assert (await eve.client.post(f"{KEYS}/{made['id']}/rotate", json={})).status_code == 404
    assert (await eve.client.get(KEYS)).json()["items"] == []
