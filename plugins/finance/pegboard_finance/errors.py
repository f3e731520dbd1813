"""What the plugin refuses."""

from pegboard_sdk.errors import Conflict, DomainError, Forbidden, InvalidInput, NotFound, UpstreamFailed

__all__ = (
    "EscrowInWrongState",
    "EscrowNotFound",
    "EscrowReferenceTaken",
    "EscrowTermsInvalid",
    "InsufficientFunds",
    "LedgerReferenceTaken",
    "NotThePayer",
    "PaymentDeclinedByProvider",
    "PaymentUnderWay",
    "ProviderAnsweredWrongly",
    "ProviderUnknown",
)


class EscrowNotFound(NotFound):
    """There is no such escrow, or it is between other people."""

    code = "finance.escrow_not_found"


class EscrowInWrongState(Conflict):
    """The escrow's state does not allow this."""

    code = "finance.escrow_in_wrong_state"


class EscrowReferenceTaken(Conflict):
    """An escrow with this reference and other terms is there already."""

    code = "finance.escrow_reference_taken"


class EscrowTermsInvalid(InvalidInput):
    """An escrow can't be opened on these terms."""

    code = "finance.escrow_terms_invalid"


class NotThePayer(Forbidden):
    """Only who owes an escrow's money may pay it."""

    code = "finance.not_the_payer"


class ProviderUnknown(InvalidInput):
    """No enabled payment provider has this name."""

    code = "finance.provider_unknown"


class PaymentUnderWay(Conflict):
    """Another payment of this escrow has not been settled yet."""

    code = "finance.payment_under_way"


class PaymentDeclinedByProvider(DomainError):
    """The provider refused the payment: nothing was taken."""

    status = 402
    code = "finance.payment_declined"


class ProviderAnsweredWrongly(UpstreamFailed):
    """The provider's answer is not about what it was asked."""

    code = "finance.provider_answered_wrongly"


class InsufficientFunds(Conflict):
    """An account holds less than what is to be taken from it."""

    code = "finance.insufficient_funds"


class LedgerReferenceTaken(Conflict):
    """A journal entry of this kind and reference, with other postings, is there already."""

    code = "finance.ledger_reference_taken"
