"""The sandbox keeps to what payment providers promise."""

from uuid import UUID

import pytest
from pegboard_finance.errors import ProviderAnsweredWrongly
from pegboard_finance.sandbox import SandboxProvider
from pegboard_sdk import Money, new_id
from pegboard_sdk.payments import Charge, ChargeRequest, PaymentProvider, PaymentUnknown, TenantPaymentProvider

from tests.plugins.finance.factories import stepped
from tests.support.platform import TestPlatform


def sandbox(platform: TestPlatform, tenant: UUID) -> PaymentProvider:
    provider = SandboxProvider()
    assert isinstance(provider, TenantPaymentProvider)
    return provider.bind(stepped(platform, platform.system(tenant)))


def request(reference: str, method: str) -> ChargeRequest:
    return ChargeRequest(reference=reference, money=Money(700, "EUR"), method=method, description="A test")


@pytest.mark.parametrize(("first", "second"), [("card_success", "card_declined"), ("card_declined", "card_success")])
async def test_a_reference_has_one_outcome(platform: TestPlatform, tenant: UUID, first: str, second: str):
    provider, reference = sandbox(platform, tenant), str(new_id())

    charge = await provider.charge(request(reference, first))

    assert await provider.charge(request(reference, second)) == charge
    assert await provider.find(reference) == charge


async def test_a_lost_answer_is_found_by_whoever_asks_later(platform: TestPlatform, tenant: UUID):
    reference = str(new_id())
    with pytest.raises(PaymentUnknown):
        await sandbox(platform, tenant).charge(request(reference, "card_unknown"))

    found = await sandbox(platform, tenant).find(reference)

    assert found is not None
    assert (found.state, found.money) == ("succeeded", Money(700, "EUR"))
    assert await sandbox(platform, await platform.tenant()).find(reference) is None


async def test_a_refund_is_given_once_and_for_what_was_taken_only(platform: TestPlatform, tenant: UUID):
    provider, reference = sandbox(platform, tenant), str(new_id())
    charge = await provider.charge(request(reference, "card_success"))

    refunds = [await provider.refund(charge, reference="r") for _ in range(2)]

    assert [refund.state for refund in refunds] == ["refunded", "refunded"]
    declined = await provider.charge(request("declined", "card_declined"))
    assert (await provider.refund(declined, reference="r")).state == "declined"
    with pytest.raises(ProviderAnsweredWrongly):
        await provider.refund(
            Charge(provider_id="x", reference="none", state="succeeded", money=Money(1, "EUR")), reference="r"
        )
