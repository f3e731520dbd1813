"""What identity refuses."""

from pegboard_sdk.errors import Conflict, DomainError, Forbidden, Unauthorized

__all__ = (
    "AccountDisabled",
    "BadCredentials",
    "CsrfRefused",
    "EmailNotVerified",
    "EmailTaken",
    "LastOfRole",
    "OneTimeTokenInvalid",
    "OperatorOnly",
    "RefreshTokenInvalid",
    "RefreshTokenReused",
    "RegistrationClosed",
    "SessionEnded",
    "StepUpRequired",
)


class BadCredentials(Unauthorized):
    """The e-mail address and the password don't belong together. It doesn't tell which of them is wrong."""

    code = "auth.bad_credentials"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


class AccountDisabled(Forbidden):
    """The password is right, and an administrator has disabled the account."""

    code = "auth.account_disabled"

    def __init__(self) -> None:
        super().__init__("This account is disabled. Ask the marketplace's administrator.")


class SessionEnded(Unauthorized):
    """The session was revoked, or is too old."""

    code = "auth.session_ended"

    def __init__(self) -> None:
        super().__init__("The session has ended: log in again.")


class StepUpRequired(Unauthorized):
    """The account must prove anew who it is (RFC 9470): its last proof is too old for this."""

    code = "auth.step_up_required"

    def __init__(self, max_age: int) -> None:
        super().__init__(
            f"This needs a proof of who you are that is no older than {max_age} s: POST /api/v1/auth/step-up, then try"
            " again with the token that it gives.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_user_authentication", max_age={max_age}'},
        )


class RefreshTokenInvalid(Unauthorized):
    """The refresh token is unknown or too old."""

    code = "auth.refresh_token_invalid"

    def __init__(self) -> None:
        super().__init__("This refresh token is not valid: log in again.")


class RefreshTokenReused(Unauthorized):
    """The refresh token was exchanged before.

    Somebody may have stolen it, so the session has ended (RFC 9700, 4.14.2).
    """

    code = "auth.refresh_token_reused"

    def __init__(self) -> None:
        super().__init__("This refresh token was used before, so the session was ended: log in again.")


class RegistrationClosed(Forbidden):
    """People can't register themselves here."""

    code = "auth.registration_closed"

    def __init__(self) -> None:
        super().__init__("Registration is closed. Ask the marketplace's administrator for an account.")


class EmailNotVerified(Forbidden):
    """The credentials are right, and nobody has proved yet that the e-mail address is theirs."""

    code = "auth.email_not_verified"

    def __init__(self) -> None:
        super().__init__(
            "Confirm your e-mail address first, with the message that was sent to it:"
            " POST /api/v1/auth/email/verification sends another."
        )


class OneTimeTokenInvalid(DomainError):
    """A mailed token is unknown, used or too old, or the account's address has changed since."""

    code = "auth.one_time_token_invalid"

    def __init__(self) -> None:
        super().__init__("This token is not valid any more: ask for a new message.")


class CsrfRefused(Forbidden):
    """A request with a session's cookies that another page may have made the browser send."""

    code = "auth.csrf_refused"

    def __init__(self, why: str) -> None:
        super().__init__(why)


class EmailTaken(Conflict):
    """There is an account with this e-mail address."""

    code = "auth.email_taken"

    def __init__(self) -> None:
        super().__init__("There is an account with this e-mail address: log in instead.")


class OperatorOnly(Forbidden):
    """The role `operator` is the platform's: only an operator gives or takes it."""

    code = "auth.operator_only"

    def __init__(self) -> None:
        super().__init__("Only an operator of the platform may give or take the role operator.")


class LastOfRole(Conflict):
    """Nobody would be left in a role that somebody must have."""

    code = "auth.last_of_role"

    def __init__(self, role: str) -> None:
        super().__init__(f"This is the last account with the role {role}: give it to somebody else first.")
