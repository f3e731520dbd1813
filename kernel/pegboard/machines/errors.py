"""What machines are refused."""

from pegboard_sdk.errors import Conflict, Forbidden, Unauthorized

__all__ = (
    "ApiKeyInvalid",
    "CredentialEnded",
    "PublicKeyTaken",
    "ScopeNotHeld",
    "ServiceNameTaken",
    "TooManyCredentials",
)


class ApiKeyInvalid(Unauthorized):
    """The API key is mistyped, unknown, expired or revoked. It doesn't tell which."""

    code = "auth.api_key_invalid"

    def __init__(self) -> None:
        super().__init__("The API key is not valid: check that it is whole, or make another.")


class CredentialEnded(Conflict):
    """The key or secret was revoked, has expired or was replaced before."""

    code = "auth.credential_ended"

    def __init__(self) -> None:
        super().__init__("This credential has ended or was replaced before: make another.")


class ScopeNotHeld(Forbidden):
    """The account's roles don't grant what the credential should carry."""

    code = "auth.scope_not_held"

    def __init__(self, scopes: list[str]) -> None:
        super().__init__(
            f"The account's roles don't grant {', '.join(scopes)}: give it a role that does, or leave them out."
        )


class ServiceNameTaken(Conflict):
    """There is a service account of this name."""

    code = "auth.service_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a service account {name} already: choose another name.")


class PublicKeyTaken(Conflict):
    """The public key is registered already."""

    code = "auth.public_key_taken"

    def __init__(self) -> None:
        super().__init__("This public key is registered already: each client has keys of its own.")


class TooManyCredentials(Conflict):
    """The account has as many as it may."""

    code = "auth.too_many_credentials"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The account has {limit} API keys and client credentials already: revoke one first.")
