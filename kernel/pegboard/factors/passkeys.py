"""Passkeys (WebAuthn level 3): what browsers are asked, and whether what they answer is right.

No network and no database here. The library that verifies is imported when it is first needed: most processes never do.
"""

import base64
import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from pegboard.config.model import Config
from pegboard.factors.errors import FactorRefused, PasskeyRefused, PasskeysUnavailable
from pegboard.factors.schemas import (
    CredentialCreation,
    CredentialDescriptor,
    CredentialParameters,
    CredentialRequest,
    PasskeyAssertion,
    PasskeyRegistration,
    PasskeyUser,
    RelyingParty,
)

if TYPE_CHECKING:
    from pegboard_sdk.work import Record

__all__ = ("MadePasskey", "Passkeys", "Signed", "credential_id")

_ALGORITHMS = (-8, -7, -257)
"""EdDSA, ES256 and RS256 by their COSE numbers: what WebAuthn advises to ask for."""

_TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "internal", "hybrid"})


class MadePasskey(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey as it was registered."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]
    backed_up: bool


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator said when it signed. `methods` are RFC 8176's names of how."""

    sign_count: int
    backed_up: bool
    methods: tuple[str, ...]


class Passkeys:
    """Of one installation: the host that passkeys are bound to, and the pages that may use them.

    Raises:
        PasskeysUnavailable: the configuration names no host name, only an address.
    """

    def __init__(self, config: Config) -> None:
        public = urlsplit(config.http.public_url or f"http://localhost:{config.http.port}")
        self.domain = config.auth.passkey_domain or public.hostname or ""
        if not self.domain or _is_address(self.domain):
            raise PasskeysUnavailable
        pages = (f"{public.scheme}://{public.netloc}", *config.http.allowed_origins)
        self._origins = [page for page in pages if self._is_ours(page)]
        self._timeout = config.auth.challenge_ttl

    def request(
        self, challenge: bytes, known: Sequence["Record"] = (), *, verify_user: bool = False
    ) -> CredentialRequest:
        """What `navigator.credentials.get()` is asked: to sign by one of `known`, or by whichever one chooses."""
        return CredentialRequest(
            challenge=_encoded(challenge),
            rp_id=self.domain,
            timeout=self._timeout * 1000,
            user_verification="required" if verify_user else "preferred",
            allow_credentials=_descriptors(known),
        )

    def creation(
        self, challenge: bytes, known: Sequence["Record"], *, market: str, account_id: UUID, email: str, name: str
    ) -> CredentialCreation:
        """What `navigator.credentials.create()` is asked: to make a passkey, not where one of `known` is."""
        return CredentialCreation(
            rp=RelyingParty(id=self.domain, name=market),
            user=PasskeyUser(id=_encoded(account_id.bytes), name=email, display_name=name),
            challenge=_encoded(challenge),
            pub_key_cred_params=[CredentialParameters(alg=algorithm) for algorithm in _ALGORITHMS],
            timeout=self._timeout * 1000,
            exclude_credentials=_descriptors(known),
        )

    def made(self, registration: PasskeyRegistration, challenge: bytes) -> MadePasskey:
        """The passkey that was made for a challenge.

        Raises:
            PasskeyRefused: it was not made for it, nor for this site.
        """
        import webauthn
        from webauthn.helpers.cose import COSEAlgorithmIdentifier
        from webauthn.helpers.exceptions import WebAuthnException

        try:
            made = webauthn.verify_registration_response(
                credential=_plain(registration),
                expected_challenge=challenge,
                expected_rp_id=self.domain,
                expected_origin=self._origins,
                supported_pub_key_algs=[COSEAlgorithmIdentifier(algorithm) for algorithm in _ALGORITHMS],
            )
        except (WebAuthnException, ValueError) as error:
            raise PasskeyRefused from error
        return MadePasskey(
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            transports=sorted(_TRANSPORTS.intersection(registration.response.transports)),
            backed_up=made.credential_backed_up,
        )

    def signed(
        self, assertion: PasskeyAssertion, challenge: bytes, *, account_id: UUID, public_key: bytes, verify_user: bool
    ) -> Signed:
        """What the authenticator says that signed a challenge by the passkey with `public_key`. `verify_user`: it must
        have asked for a PIN, a finger or a face.

        Raises:
            FactorRefused: it is another's signature, of another challenge or for another site.
        """
        import webauthn
        from webauthn.helpers.exceptions import WebAuthnException

        handle = assertion.response.user_handle
        if handle is not None and handle != _encoded(account_id.bytes):
            raise FactorRefused
        try:
            signed = webauthn.verify_authentication_response(
                credential=_plain(assertion),
                expected_challenge=challenge,
                expected_rp_id=self.domain,
                expected_origin=self._origins,
                credential_public_key=public_key,
                credential_current_sign_count=0,  # the caller compares: it wants to know
                require_user_verification=verify_user,
            )
        except (WebAuthnException, ValueError) as error:
            raise FactorRefused from error
        kept = "hwk" if signed.credential_device_type.value == "single_device" else "swk"
        return Signed(
            sign_count=signed.new_sign_count,
            backed_up=signed.credential_backed_up,
            methods=(kept, "user") if signed.user_verified else (kept,),
        )

    def _is_ours(self, page: str) -> bool:
        host = urlsplit(page).hostname or ""
        return host == self.domain or host.endswith(f".{self.domain}")


def credential_id(assertion: PasskeyAssertion) -> bytes:
    """Which passkey an assertion says that it is by."""
    text = assertion.raw_id
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise FactorRefused from error


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _descriptors(known: Sequence["Record"]) -> list[CredentialDescriptor]:
    return [CredentialDescriptor(id=_encoded(one["credential_id"]), transports=one["transports"]) for one in known]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _plain(credential: PasskeyAssertion | PasskeyRegistration) -> dict[str, Any]:
    """As the library takes it."""
    plain = msgspec.to_builtins(credential)
    plain["response"] = {name: value for name, value in plain["response"].items() if value is not None}
    return plain
