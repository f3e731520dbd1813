"""A log-in elsewhere is a first factor: what an account must have besides is asked for here."""

import base64
import time

from pegboard.factors.totp import code_at, step_at

from tests.kernel.sso.conftest import AUTH, Site

ADA = {"email": "ada@corp.example", "email_verified": True}


async def test_the_second_factor_is_asked_for_unless_the_providers_counts(site: Site) -> None:
    came = await (await site.start(app=True)).sign_in(**ADA)
    client = site.platform.client(authorization=f"Bearer {came.json()['access_token']}")
    begun = await client.post(f"{AUTH}/factors/totp")
    assert begun.status_code == 200, begun.text
    secret = begun.json()["secret"]
    seed = base64.b32decode(secret + "=" * (-len(secret) % 8))
    code = code_at(seed, step_at(time.time()))
    assert (await client.post(f"{AUTH}/factors/totp/confirm", json={"code": code})).status_code == 200

    asked = await (await site.start(app=True)).sign_in(**ADA, amr=["mfa"])
    assert asked.status_code == 202, asked.text
    assert "totp" in asked.json()["methods"]
    body = {"challenge": asked.json()["challenge"], "code": code_at(seed, step_at(time.time()) + 1)}
    answered = await site.platform.anonymous(site.tenant).post(f"{AUTH}/challenge", json=body)
    assert answered.status_code == 200, answered.text

    await site.provide(trust_methods=True)
    assert (await (await site.start(app=True)).sign_in(**ADA, amr=["mfa"])).status_code == 200
    assert (await (await site.start(app=True)).sign_in(**ADA, amr=["pwd"])).status_code == 202
