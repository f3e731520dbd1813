"""What the routes of second factors take and give. What browsers call as they do is named so (WebAuthn, 5.1)."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec

__all__ = (
    "AnsweredChallenge",
    "ChallengeAnswer",
    "CredentialCreation",
    "Factors",
    "NewPasskey",
    "Passkey",
    "PasskeyAdded",
    "PasskeyAssertion",
    "PasskeyChallenge",
    "PasskeyLabel",
    "PasskeyRegistration",
    "RecoveryCodes",
    "Requirement",
    "RequirementChange",
    "Requirements",
    "StepUpAnswer",
    "TotpAdded",
    "TotpCode",
    "TotpFactor",
    "TotpSetUp",
    "TrustedDevice",
    "TrustedDeviceList",
)

Base64Url = Annotated[str, msgspec.Meta(min_length=1, max_length=16_384, pattern="^[A-Za-z0-9_-]+$")]
ChallengeText = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, description="The challenge's token.")]
Code = Annotated[
    str,
    msgspec.Meta(
        min_length=6, max_length=7, pattern="^[0-9]{3} ?[0-9]{3}$", description="What the app shows: six digits."
    ),
]
RecoveryCode = Annotated[
    str,
    msgspec.Meta(min_length=12, max_length=20, pattern="^[0-9A-Za-z -]+$", description="One of the recovery codes."),
]
Label = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=100,
        pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$",
        description="What its owner calls it.",
    ),
]


class AssertionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an authenticator signed: `AuthenticatorAssertionResponseJSON`."""

    client_data_json: Base64Url = msgspec.field(name="clientDataJSON")
    authenticator_data: Base64Url
    signature: Base64Url
    user_handle: Base64Url | None = None


class PasskeyAssertion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `navigator.credentials.get()` gave, by its `toJSON()`."""

    id: Base64Url
    raw_id: Base64Url
    type: Literal["public-key"]
    response: AssertionResponse


class AttestationResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an authenticator made: `AuthenticatorAttestationResponseJSON`."""

    client_data_json: Base64Url = msgspec.field(name="clientDataJSON")
    attestation_object: Base64Url
    transports: list[str] = []


class PasskeyRegistration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `navigator.credentials.create()` gave, by its `toJSON()`."""

    id: Base64Url
    raw_id: Base64Url
    type: Literal["public-key"]
    response: AttestationResponse


class CredentialDescriptor(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey that is there, and how its authenticator can be reached."""

    id: str
    transports: list[str]
    type: Literal["public-key"] = "public-key"


class CredentialRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """For `navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(…)})`. `timeout` in
    milliseconds.
    """

    challenge: str
    rp_id: str
    timeout: int
    user_verification: Literal["required", "preferred"]
    allow_credentials: list[CredentialDescriptor] = []


class RelyingParty(msgspec.Struct, frozen=True):
    """Whom a passkey is for."""

    id: str
    name: str


class PasskeyUser(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whose a passkey is, as the authenticator shows it; `id` is random to everybody else."""

    id: str
    name: str
    display_name: str


class CredentialParameters(msgspec.Struct, frozen=True):
    """A kind of signature, by its COSE number."""

    alg: int
    type: Literal["public-key"] = "public-key"


class AuthenticatorSelection(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which authenticators will do."""

    resident_key: Literal["preferred"] = "preferred"
    user_verification: Literal["preferred"] = "preferred"


class CredentialCreation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """For `navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(…)})`. `timeout`
    in milliseconds.
    """

    rp: RelyingParty
    user: PasskeyUser
    challenge: str
    pub_key_cred_params: list[CredentialParameters]
    timeout: int
    exclude_credentials: list[CredentialDescriptor]
    authenticator_selection: AuthenticatorSelection = AuthenticatorSelection()
    attestation: Literal["none"] = "none"


class PasskeyChallenge(msgspec.Struct, frozen=True, kw_only=True, rename={"public_key": "publicKey"}):
    """How to make a passkey: send `challenge` with what the browser made of `publicKey`, within `expires_in` s."""

    challenge: str
    public_key: CredentialCreation
    expires_in: int


class ChallengeAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to a challenge: by exactly one of `code`, `recovery_code` and `passkey`. With `trust_device` this
    device is not asked for a second factor for a while; with `cookies` a browser gets the tokens as cookies.
    """

    challenge: ChallengeText
    code: Code | None = None
    recovery_code: RecoveryCode | None = None
    passkey: PasskeyAssertion | None = None
    trust_device: bool = False
    cookies: bool = False


class StepUpAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to a step-up's challenge: by exactly one of `code`, `recovery_code` and `passkey`."""

    challenge: ChallengeText
    code: Code | None = None
    recovery_code: RecoveryCode | None = None
    passkey: PasskeyAssertion | None = None


AnsweredChallenge = ChallengeAnswer | StepUpAnswer


class TotpSetUp(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticator app's seed, shown this once: `uri` as a QR code, or `secret` to be typed. It counts once a code
    of the app has confirmed it, within `expires_in` seconds.
    """

    secret: str
    uri: str
    expires_in: int


class TotpCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A code of the app that is being set up."""

    code: Code


class TotpFactor(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticator app."""

    created_at: datetime
    last_used_at: datetime | None


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey. `backed_up`: its maker keeps a copy, on the owner's other devices say."""

    id: UUID
    label: str
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


class Factors(msgspec.Struct, frozen=True, kw_only=True):
    """An account's second factors. `recovery_codes` are left; `recovery_codes_low`: it is time for new ones. A role of
    the account needs a second factor from `required_from` on, if it is set; `restricted`: this session must prove one.
    """

    totp: TotpFactor | None
    passkeys: list[Passkey]
    recovery_codes: int
    recovery_codes_low: bool
    required_from: datetime | None
    restricted: bool


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Recovery codes, shown this once: each is good for one log-in. Earlier ones are worth nothing any more."""

    recovery_codes: list[str]


class TotpAdded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The app is set up. `recovery_codes` come with the first factor, and are shown this once. The session has proved
    the factor: go on with `access_token`, which a session in cookies gets as a cookie.
    """

    recovery_codes: list[str]
    expires_in: int
    access_token: str | msgspec.UnsetType = msgspec.UNSET


class PasskeyAdded(TotpAdded, frozen=True, kw_only=True, omit_defaults=True):
    """The passkey is added. The rest is as with an app."""

    passkey: Passkey


class NewPasskey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A passkey that the browser has made for a challenge."""

    challenge: ChallengeText
    credential: PasskeyRegistration
    label: Label


class PasskeyLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What its owner calls a passkey."""

    label: Label


class TrustedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device that is not asked for a second factor until `expires_at`."""

    id: UUID
    user_agent: str
    ip: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


class TrustedDeviceList(msgspec.Struct, frozen=True):
    """The devices that the account trusts, the last used first: 20 at most."""

    items: list[TrustedDevice]


class RequirementChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accounts with the role need a second factor: at once, or `grace_days` after they got the role or this was set."""

    grace_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 0


class Requirement(msgspec.Struct, frozen=True, kw_only=True):
    """A role whose accounts need a second factor. `without` is how many of them have none yet."""

    role: str
    grace_days: int
    since: datetime
    without: int


class Requirements(msgspec.Struct, frozen=True):
    """The roles that need a second factor."""

    items: list[Requirement]
