"""What second factors refuse."""

from pegboard_sdk.errors import Conflict, DomainError, Forbidden, TooManyRequests, Unauthorized

__all__ = (
    "ChallengeInvalid",
    "FactorRefused",
    "FactorRequired",
    "LastFactor",
    "LockedOut",
    "OwnFactors",
    "PasskeyKnown",
    "PasskeyRefused",
    "PasskeysUnavailable",
    "TooManyPasskeys",
)


class FactorRefused(Unauthorized):
    """The code or the passkey doesn't prove anything. It doesn't tell why: a code may be wrong, used or too old."""

    code = "auth.factor_refused"

    def __init__(self) -> None:
        super().__init__("This is not right, or was used before: try again with another code, or another method.")


class ChallengeInvalid(Unauthorized):
    """The challenge was answered, is too old, or is for something else."""

    code = "auth.challenge_invalid"

    def __init__(self) -> None:
        super().__init__("This challenge is not valid any more: begin again.")


class LockedOut(TooManyRequests):
    """Too many attempts failed: each further one waits longer. It is the same whether or not there is an account."""

    code = "auth.locked_out"

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "Too many attempts have failed: wait for the seconds that Retry-After says. A device that you trust is let"
            " through meanwhile.",
            retry_after=retry_after,
        )


class FactorRequired(Forbidden):
    """The account's role needs a second factor, and this session has proved none."""

    code = "auth.factor_required"

    def __init__(self) -> None:
        super().__init__(
            "Your role needs a second factor: set one up (POST /api/v1/auth/factors/totp, or a passkey), or prove the"
            " one that you have (GET /api/v1/auth/step-up/challenge), then go on with the token that this gives."
        )


class PasskeyRefused(DomainError):
    """The authenticator's answer can't be taken as a new passkey."""

    code = "auth.passkey_refused"

    def __init__(self) -> None:
        super().__init__("This passkey can't be added: ask for a new challenge, and use a browser page of this site.")


class PasskeyKnown(Conflict):
    """The passkey was added before."""

    code = "auth.passkey_known"

    def __init__(self) -> None:
        super().__init__("This passkey was added before.")


class TooManyPasskeys(Conflict):
    """The account has as many as it may."""

    code = "auth.too_many_passkeys"

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} passkeys already: remove one that you don't use.")


class PasskeysUnavailable(Conflict):
    """Browsers give passkeys to host names only, and the configuration names none."""

    code = "auth.passkeys_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "Passkeys need a host name: the platform's operator sets http.public_url (or auth.passkey_domain) to one."
        )


class LastFactor(Conflict):
    """The account's role needs a second factor, and this is the only one."""

    code = "auth.last_factor"

    def __init__(self) -> None:
        super().__init__("Your role needs a second factor, and this is your only one: add another first.")


class OwnFactors(Conflict):
    """Nobody resets their own factors: whoever holds a stolen session would."""

    code = "auth.own_factors"

    def __init__(self) -> None:
        super().__init__("Your own factors you remove one by one; ask another administrator to reset them.")
