"""What single sign-on refuses."""

from pegboard_sdk.errors import Conflict, DomainError, Forbidden, NotFound, UpstreamFailed

__all__ = (
    "EmailNotProven",
    "IdentityTaken",
    "LastWayIn",
    "LinkRequired",
    "NotProvisioned",
    "ProviderAnswerInvalid",
    "ProviderConfigured",
    "ProviderRefused",
    "ProviderUnknown",
    "ReturnNotAllowed",
    "SignInFirst",
    "SsoCodeInvalid",
    "SsoRequired",
    "SsoStateInvalid",
)


class ProviderUnknown(NotFound):
    """There is no such identity provider here, or it is off."""

    code = "sso.provider_unknown"

    def __init__(self) -> None:
        super().__init__("There is no such identity provider here: GET /api/v1/auth/providers lists them.")


class ReturnNotAllowed(DomainError):
    """A log-in may not come back to this address."""

    code = "sso.return_not_allowed"

    def __init__(self) -> None:
        super().__init__("return_to is not one of the provider's: ask the administrator to add it to `return_to`.")


class SsoStateInvalid(DomainError):
    """The answer belongs to no log-in that waits: it is used, too old, another tenant's, or another browser's."""

    code = "sso.state_invalid"

    def __init__(self) -> None:
        super().__init__("This log-in is over, or began in another browser: begin anew.")


class SsoCodeInvalid(DomainError):
    """The code is used or too old, or not for who sends it."""

    code = "sso.code_invalid"

    def __init__(self) -> None:
        super().__init__("This code is not valid any more: begin the log-in anew.")


class ProviderAnswerInvalid(UpstreamFailed):
    """The provider's answer proves nothing. `reason` is for the administrator and holds nothing of the answer."""

    code = "sso.provider_answer_invalid"

    def __init__(self, reason: str) -> None:
        super().__init__("The identity provider's answer is not valid. Try again, or tell the administrator.")
        self.reason = reason


class ProviderRefused(Forbidden):
    """The provider, or the person there, said no."""

    code = "sso.provider_refused"

    def __init__(self, reason: str = "refused") -> None:
        super().__init__("The identity provider did not let you in. Try again, or log in another way.")
        self.reason = reason


class EmailNotProven(Forbidden):
    """The provider gives no address, or does not say that it has checked it; or it is of another domain."""

    code = "sso.email_not_proven"

    def __init__(self) -> None:
        super().__init__(
            "The identity provider does not vouch for an e-mail address that may be used here. Confirm your address"
            " there, or log in another way and link it to your account."
        )


class LinkRequired(Conflict):
    """There is an account with this address, and the provider's word is not enough to enter it."""

    code = "sso.link_required"

    def __init__(self) -> None:
        super().__init__(
            "There is an account with this e-mail address. Log in to it (“forgotten password” helps), then send this"
            " code to POST /api/v1/auth/identities: from then on you log in this way."
        )


class NotProvisioned(Forbidden):
    """Nobody has an account by this log-in, and none is made."""

    code = "sso.not_provisioned"

    def __init__(self) -> None:
        super().__init__("There is no account for you here. Ask the marketplace's administrator for one.")


class SsoRequired(Forbidden):
    """The address's domain has an identity provider, and no other way in."""

    code = "sso.required"

    def __init__(self, provider: str) -> None:
        super().__init__(f"Addresses of this domain log in by their identity provider: {provider}.")


class IdentityTaken(Conflict):
    """Another account here has this identity."""

    code = "sso.identity_taken"

    def __init__(self) -> None:
        super().__init__("Another account is linked to this identity: log in by it, and remove it there first.")


class LastWayIn(Conflict):
    """Without it nobody could log in to the account."""

    code = "sso.last_way_in"

    def __init__(self) -> None:
        super().__init__("This is the only way in to your account: set a password or link another one first.")


class ProviderConfigured(Conflict):
    """The provider is in `plugins.toml`."""

    code = "sso.provider_configured"

    def __init__(self) -> None:
        super().__init__("A provider of this name is in plugins.toml: change it there, or choose another name.")


class SignInFirst(Conflict):
    """Who makes a provider the only way in has to have come in by it."""

    code = "sso.sign_in_first"

    def __init__(self) -> None:
        super().__init__(
            "Link your own account to this provider first, without `require`: so nobody is locked out by a mistake."
        )
