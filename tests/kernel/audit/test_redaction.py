"""Neither secrets nor personal data get into entries; that they changed does."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.audit.redaction import PERSONAL, SECRET, redacted_fields, redacted_text
from pegboard_sdk.services import AuditLog
from pegboard_sdk.settings import Secret

from tests.support.platform import TestPlatform


def redacted(fields: dict[str, Any], **options: Any) -> Any:
    return json.loads(redacted_fields(fields, **options) or "null")


@pytest.mark.parametrize(
    "name",
    [
        "email", "e_mail", "E-Mail", "contact_email", "contactEmail", "email_address", "emails", "address",
        "billing_address", "display_name", "displayName", "first_name", "last_name", "full_name", "nickname", "phone",
        "phone_number", "mobile", "ip", "remote_ip", "ip_address", "user_agent", "date_of_birth", "iban",
    ],
)  # fmt: skip
def test_personal_fields_by_name(name: str) -> None:
    assert redacted({name: "Ada"}) == {name: PERSONAL}
    assert redacted({"deep": [{name: ["Ada", {"more": "Lovelace"}]}]}) == {
        "deep": [{name: [PERSONAL, {"more": PERSONAL}]}]
    }
    assert redacted({name: None}) == {name: None}


@pytest.mark.parametrize(
    "name",
    [
        "password", "passwordHash", "new_password", "secret", "client_secret", "token", "refresh_token", "token_hash",
        "api_key", "apiKey", "api-key", "private_key", "authorization", "cookie", "otp", "recovery_codes",
        "verification_code",
    ],
)  # fmt: skip
def test_secret_fields_by_name(name: str) -> None:
    assert redacted({name: "hunter2"}) == {name: SECRET}
    assert redacted({name: 123456}) == {name: SECRET}
    assert redacted({name: {"value": ["hunter2"]}}) == {name: {"value": [SECRET]}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email_verified_at", "2026-01-02"), ("state", "held"), ("title", "A gig"), ("tokens", 12), ("max_tokens", 5),
        ("prompt_tokens", 3), ("name", "finance"), ("filename", "a.txt"), ("password", True), ("password", None),
        ("email", False), ("shipping", "fast"), ("recipe", "cake"), ("key", "a"), ("currency", "EUR"), ("amount", 5),
    ],
)  # fmt: skip
def test_what_is_neither(name: str, value: Any) -> None:
    assert redacted({name: value}) == {name: value}


def test_a_persons_plain_name() -> None:
    assert redacted({"name": "Ada"}, object_type="account") == {"name": PERSONAL}
    assert redacted({"name": "Acme"}, object_type="tenant") == {"name": "Acme"}


def test_what_a_plugin_declares() -> None:
    fields = {"bio": "born in London", "deep": {"shoeSize": 38}, "state": "new"}
    assert redacted(fields, personal=("bio", "shoe_size")) == {
        "bio": PERSONAL,
        "deep": {"shoeSize": PERSONAL},
        "state": "new",
    }


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("ada@example.com", PERSONAL),
        ("asked by <ada.l+x@mail.example.com>, twice", f"asked by <{PERSONAL}>, twice"),
        ("DELETE /members/ada@example.com/roles", f"DELETE /members/{PERSONAL}/roles"),
        ("ada@host", "ada@host"),
        ("5 @ 3.50", "5 @ 3.50"),
        (None, None),
    ],
)
def test_addresses_in_texts(text: str | None, left: str | None) -> None:
    assert redacted_text(text) == left
    assert redacted({"summary": [text]}) == {"summary": [left]}


def test_other_values_stay_what_they_are() -> None:
    class Price(msgspec.Struct):
        amount: int
        email: str

    moment = datetime(2026, 1, 2, tzinfo=UTC)
    fields = {
        "at": moment, "id": UUID(int=1), "price": Price(5, "ada@example.com"), "exact": Decimal("1.50"), "on": True,
        "key": Secret("hunter2"), 7: "seven",
    }  # fmt: skip
    assert redacted(fields) == {  # type: ignore[arg-type]  # a key that is a number
        "at": "2026-01-02T00:00:00Z", "id": str(UUID(int=1)), "price": {"amount": 5, "email": PERSONAL},
        "exact": "1.50", "on": True, "key": SECRET, "7": "seven",
    }  # fmt: skip


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(fields=st.dictionaries(st.sampled_from(("email", "password", "x", "yDisplayName")), _values))
def test_shapes_stay_and_nothing_gets_through(fields: dict[str, Any]) -> None:
    planted = "canary-7f"

    def plant(value: Any) -> Any:
        match value:
            case str():
                return planted
            case dict():
                return {name: plant(item) for name, item in value.items()}
            case list():
                return [plant(item) for item in value]
            case _:
                return value

    fields = {name: plant(value) for name, value in fields.items()}
    left = redacted(fields)
    assert left.keys() == fields.keys()
    assert planted not in json.dumps({name: value for name, value in left.items() if name != "x"})


async def test_the_writer_redacts(platform: TestPlatform, tenant: UUID) -> None:
    async with platform.work(platform.system(tenant)) as work:
        await work.audit(
            "hello:profile.edit", object_type="profile", object_id="ada@example.com", before={"email": "a@example.com"},
            after={"email": "grace@example.com", "name": "Grace", "bio": "an admiral"}, personal=("bio",),
        )  # fmt: skip
        (entry,) = (await work.service(AuditLog).search(work)).items
    assert (entry.object_id, entry.before) == (PERSONAL, {"email": PERSONAL})
    assert entry.after == {"email": PERSONAL, "name": PERSONAL, "bio": PERSONAL}
