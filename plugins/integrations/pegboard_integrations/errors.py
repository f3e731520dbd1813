"""What integrations refuses."""

from pegboard_sdk.errors import Conflict, InvalidInput, NotFound, Unauthorized, Unavailable

__all__ = (
    "ConnectorNotFound",
    "ConnectorNotSetUp",
    "DeliveryIdReused",
    "DeliveryNotFound",
    "DeliveryUnreadable",
    "SignatureInvalid",
)


class ConnectorNotFound(NotFound):
    """No enabled plugin takes webhooks of this program."""

    code = "integrations.connector_not_found"


class ConnectorNotSetUp(Unavailable):
    """The connector's signing secret is not in the vault."""

    code = "integrations.connector_not_set_up"


class SignatureInvalid(Unauthorized):
    """The webhook is not signed with the secret that we share."""

    code = "integrations.signature_invalid"


class DeliveryUnreadable(InvalidInput):
    """The webhook is signed rightly and can't be read."""

    code = "integrations.delivery_unreadable"


class DeliveryIdReused(Conflict):
    """A delivery with this id came before, with another content."""

    code = "integrations.delivery_id_reused"


class DeliveryNotFound(NotFound):
    """There is no such delivery."""

    code = "integrations.delivery_not_found"
