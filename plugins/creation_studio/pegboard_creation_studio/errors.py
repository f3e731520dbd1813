"""What the plugin refuses."""

from pegboard_sdk.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable

__all__ = (
    "CurrencyNotOffered",
    "GigInWrongState",
    "GigNotFound",
    "NotYourGig",
    "NotYourPart",
    "OrderInWrongState",
    "OrderNotFound",
    "OwnGig",
    "PaymentsUnavailable",
    "TermUnknown",
    "TitleTooShort",
)


class GigNotFound(NotFound):
    """There is no such gig, or it is a draft of somebody else."""

    code = "creation_studio.gig_not_found"


class NotYourGig(Forbidden):
    """Only the owner may do this to a gig."""

    code = "creation_studio.not_your_gig"


class GigInWrongState(Conflict):
    """The gig's state does not allow this."""

    code = "creation_studio.gig_in_wrong_state"


class CurrencyNotOffered(InvalidInput):
    """The marketplace does not trade in this currency."""

    code = "creation_studio.currency_not_offered"


class TermUnknown(InvalidInput):
    """A tag or the category is not a term of its taxonomy."""

    code = "creation_studio.term_unknown"


class TitleTooShort(InvalidInput):
    """Nothing but blanks is left of the title, or too little."""

    code = "creation_studio.title_too_short"


class OrderNotFound(NotFound):
    """There is no such order, or somebody else buys and sells it."""

    code = "creation_studio.order_not_found"


class OwnGig(Forbidden):
    """Nobody orders from themselves."""

    code = "creation_studio.own_gig"


class NotYourPart(Forbidden):
    """The other party of the order does this."""

    code = "creation_studio.not_your_part"


class OrderInWrongState(Conflict):
    """The order's state does not allow this."""

    code = "creation_studio.order_in_wrong_state"


class PaymentsUnavailable(Unavailable):
    """No enabled plugin holds money in escrow."""

    code = "creation_studio.payments_unavailable"
