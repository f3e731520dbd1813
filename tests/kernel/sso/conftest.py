"""A tenant with an identity provider, and somebody in a browser or an app who logs in by it."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import msgspec
import pytest
from pegboard.sso.state import challenge_of, new_secret

from tests.support.issuer import CLIENT_ID, CLIENT_SECRET, Issuer
from tests.support.platform import Account, TestPlatform

AUTH = "/api/v1/auth"
PROVIDERS = f"{AUTH}/providers"
ADMIN = "/api/v1/admin/sso-providers"
PAGE = "https://shop.example.com/welcome"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A provider that says what the test has it say."""
    with Issuer.running() as running:
        yield running


class Trip(msgspec.Struct, kw_only=True):
    """Somebody's log-in on its way: what the provider was asked, and who asked."""

    site: "Site"
    client: httpx.AsyncClient
    asked: dict[str, str]
    verifier: str | None
    name: str = "corp"

    async def back(self, **answer: str) -> httpx.Response:
        """The provider sends the browser back with `answer`, as it would with the state that it was given."""
        return await self.client.get(
            f"{PROVIDERS}/{self.name}/callback", params={"state": self.asked["state"], **answer}
        )

    async def proven(self, **claims: Any) -> str:
        """The provider proves who it is; gives the code that `return_to` gets."""
        location = await self.location(**claims)
        assert "code" in location, location
        return location["code"]

    async def location(self, *, id_token: str | None = None, answer: Any = None, **claims: Any) -> dict[str, str]:
        """As `proven`, but gives all that `return_to` gets."""
        issuer, code = self.site.issuer, new_secret()
        token = id_token or issuer.sign(issuer.claims(self.asked["nonce"], **claims))
        issuer.gives(code, self.asked["code_challenge"], **{"id_token": token, **(answer or {})})
        return returned(await self.back(code=code))

    async def exchange(self, code: str, **body: Any) -> httpx.Response:
        """Exchange the code for tokens."""
        sent = {"code": code, **({} if self.verifier is None else {"code_verifier": self.verifier}), **body}
        return await self.client.post(f"{PROVIDERS}/exchange", json=sent)

    async def sign_in(self, **claims: Any) -> httpx.Response:
        """All of it."""
        return await self.exchange(await self.proven(**claims))


class Site(msgspec.Struct, kw_only=True):
    """A marketplace with the provider `corp`."""

    platform: TestPlatform
    tenant: UUID
    administrator: Account
    issuer: Issuer

    async def provide(self, name: str = "corp", **settings: Any) -> httpx.Response:
        """Set the provider up."""
        body = {
            "issuer": self.issuer.url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "return_to": [PAGE],
            **settings,
        }
        return await self.administrator.client.put(f"{ADMIN}/{name}", json=body)

    async def start(
        self, client: httpx.AsyncClient | None = None, *, app: bool = False, name: str = "corp", path: str | None = None
    ) -> Trip:
        """Somebody begins to log in."""
        client = client or self.platform.anonymous(self.tenant)
        verifier = new_secret() if app else None
        body = {"return_to": PAGE, **({} if verifier is None else {"code_challenge": challenge_of(verifier)})}
        answer = await client.post(path or f"{PROVIDERS}/{name}/start", json=body)
        assert answer.status_code == 200, answer.text
        query = parse_qs(urlsplit(answer.json()["authorization_url"]).query)
        asked = {key: values[0] for key, values in query.items()}
        return Trip(site=self, client=client, asked=asked, verifier=verifier, name=name)

    async def reasons(self) -> list[str]:
        """Why log-ins were refused, as the audit trail has it."""
        async with self.platform.work(self.platform.system(self.tenant)) as work:
            rows = await work.fetch(
                """
                SELECT reason FROM kernel_audit_entries
                WHERE tenant_id = $1 AND outcome = 'refused' AND object_type = 'provider' ORDER BY id
                """,
                self.tenant,
            )
        return [row["reason"] for row in rows]


@pytest.fixture
async def site(platform: TestPlatform, tenant: UUID, issuer: Issuer) -> Site:
    """A marketplace with the provider."""
    administrator = await platform.account(tenant, ("administrator",))
    made = Site(platform=platform, tenant=tenant, administrator=administrator, issuer=issuer)
    answer = await made.provide()
    assert answer.status_code == 200, answer.text
    return made


def returned(answer: httpx.Response) -> dict[str, str]:
    """What `return_to` is called with."""
    assert answer.status_code == 303, answer.text
    location = answer.headers["location"]
    assert location.startswith(f"{PAGE}?"), location
    return {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}
