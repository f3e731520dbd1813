"""Connectors: what integrations needs to take in another program's webhooks (hook `connectors`)."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from pegboard_sdk.settings import Secret

__all__ = ("Connector", "Delivery")


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that was verified: `id` is the sender's delivery id, `event` its kind, `payload` the JSON body as it
    came.
    """

    id: str
    event: str
    payload: bytes


class Connector(Protocol):
    """One program that sends webhooks."""

    @property
    def name(self) -> str:
        """snake_case: the last part of the webhook's path."""
        ...

    @property
    def secret(self) -> str:
        """The vault name of the signing secret."""
        ...

    def verify(self, headers: Mapping[str, str], body: bytes, secret: Secret) -> Delivery:
        """Check the signature over the raw body in constant time and read the delivery. Header names are lower case.

        Raises:
            Unauthorized: the signature is missing or wrong.
            InvalidInput: it is signed and not readable.
        """
        ...
