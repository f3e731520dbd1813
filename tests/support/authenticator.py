"""An authenticator and the browser before it, in software (WebAuthn level 3): what answers `navigator.credentials`."""

import base64
import hashlib
import json
import os
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

__all__ = ("Authenticator",)

_USER_PRESENT, _USER_VERIFIED, _BACKUP_ELIGIBLE, _BACKED_UP, _ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


class Authenticator:
    """Holds one passkey. `counts`: it tells how often it signed; `verifies`: it asks its owner for a PIN."""

    def __init__(
        self, *, origin: str = "http://localhost:8000", counts: bool = True, verifies: bool = True, synced: bool = False
    ) -> None:
        self.origin = origin
        self.counts = counts
        self.verifies = verifies
        self.synced = synced
        self.count = 0
        self.credential_id = os.urandom(32)
        self.user_handle = ""
        self.rp_id = ""
        self._key: EllipticCurvePrivateKey = generate_private_key(SECP256R1())

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make a passkey, as `navigator.credentials.create()` does."""
        assert {"type": "public-key", "alg": -7} in options["pubKeyCredParams"]
        self.rp_id, self.user_handle = options["rp"]["id"], options["user"]["id"]
        point = self._key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cbor2.dumps(cose)
        data = self._data(_ATTESTED) + attested
        response = {
            "clientDataJSON": encoded(self._client_data("webauthn.create", options["challenge"])),
            "attestationObject": encoded(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["usb", "of-tomorrow"],
        }
        return self._credential(response)

    def get(self, options: dict[str, Any], *, handle: str | None = None) -> dict[str, Any]:
        """Sign, as `navigator.credentials.get()` does. `handle` is another's."""
        assert options["rpId"] == self.rp_id
        allowed = [one["id"] for one in options["allowCredentials"]]
        assert not allowed or encoded(self.credential_id) in allowed
        self.count += self.counts
        client_data, data = self._client_data("webauthn.get", options["challenge"]), self._data()
        signature = self._key.sign(data + hashlib.sha256(client_data).digest(), ECDSA(SHA256()))
        response = {
            "clientDataJSON": encoded(client_data),
            "authenticatorData": encoded(data),
            "signature": encoded(signature),
            "userHandle": handle or self.user_handle,
        }
        return self._credential(response)

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        known_as = encoded(self.credential_id)
        return {
            "id": known_as,
            "rawId": known_as,
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {},
            "response": response,
        }

    def _data(self, flags: int = 0) -> bytes:
        flags |= _USER_PRESENT
        if self.verifies:
            flags |= _USER_VERIFIED
        if self.synced:
            flags |= _BACKUP_ELIGIBLE | _BACKED_UP
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
