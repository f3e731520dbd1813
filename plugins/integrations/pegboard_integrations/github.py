"""GitHub's webhooks.

Source of the rules: GitHub's documentation "Validating webhook deliveries": `X-Hub-Signature-256` is `sha256=` and
the HMAC-SHA256 of the raw body in hex, under the webhook's secret; `X-GitHub-Delivery` is a GUID, `X-GitHub-Event`
the event's name.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping

import msgspec
from pegboard_sdk import Secret
from pegboard_sdk.connectors import Delivery

from pegboard_integrations.errors import DeliveryUnreadable, SignatureInvalid

__all__ = ("GitHub",)

_DELIVERY = re.compile(r"^[0-9A-Za-z-]{1,100}$")
_EVENT = re.compile(r"^[a-z0-9_]{1,100}$")


class GitHub:
    """`pegboard_sdk.connectors.Connector` for GitHub."""

    name = "github"
    secret = "integrations.github_webhook_secret"  # noqa: S105  # where the secret is, not what

    def verify(self, headers: Mapping[str, str], body: bytes, secret: Secret) -> Delivery:
        """Check the signature over the raw body and read the delivery.

        Raises:
            SignatureInvalid: the signature is missing or wrong.
            DeliveryUnreadable: it is signed and its headers or JSON can't be read.
        """
        expected = "sha256=" + hmac.new(secret.reveal().encode(), body, hashlib.sha256).hexdigest()
        signature = headers.get("x-hub-signature-256", "").encode("latin-1", "replace")
        if not hmac.compare_digest(expected.encode(), signature):
            raise SignatureInvalid("X-Hub-Signature-256 is missing or does not fit: check the secret on both sides.")
        delivery, event = headers.get("x-github-delivery", ""), headers.get("x-github-event", "")
        if not _DELIVERY.match(delivery) or not _EVENT.match(event):
            raise DeliveryUnreadable("X-GitHub-Delivery and X-GitHub-Event must both be there.")
        try:
            msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except msgspec.MsgspecError as error:
            raise DeliveryUnreadable(
                "The body is no JSON object: choose the content type application/json for the webhook."
            ) from error
        return Delivery(id=delivery, event=event, payload=body)
