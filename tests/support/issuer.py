"""An identity provider on loopback that says what a test has it say, lies included.

It is no stand-in for a real one (those are tested with `oidc-provider-mock` and `emulate`): it makes the answers that
an honest provider never gives.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

__all__ = ("CLIENT_ID", "CLIENT_SECRET", "Issuer", "new_key")

CLIENT_ID = "pegboard-client"
CLIENT_SECRET = "planted-client-secret"  # pragma: allowlist secret


def new_key() -> rsa.RSAPrivateKey:
    """A key that signs."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """A running provider. `discovery` and `userinfo` are what it answers; `requests` what it was asked, by path."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        # Ports come round again, and what an issuer publishes is remembered: so each has an address of its own.
        self._path = f"/{secrets.token_hex(8)}"
        self.url = f"http://127.0.0.1:{server.server_port}{self._path}"
        self.keys: dict[str, Any] = {"first": new_key()}
        self.discovery: dict[str, Any] = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }
        self.userinfo: dict[str, Any] | None = None
        self.answers: dict[str, dict[str, Any]] = {}
        self.challenges: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, str], str]] = []

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """Run it on a free port."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        issuer = cls(server)
        server.issuer = issuer  # type: ignore[attr-defined]  # what the handler answers by
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)

    def claims(self, nonce: str, /, **different: Any) -> dict[str, Any]:
        """What an honest ID token says, but for what is `different`; None leaves a claim out."""
        now = int(time.time())
        honest = {"iss": self.url, "aud": CLIENT_ID, "sub": "subject-1", "iat": now, "exp": now + 300, "nonce": nonce}
        return {name: value for name, value in {**honest, **different}.items() if value is not None}

    def sign(
        self, claims: dict[str, Any], *, kid: str | None = "first", key: Any = None, algorithm: str = "RS256"
    ) -> str:
        """An ID token."""
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(claims, key or self.keys[kid or "first"], algorithm=algorithm, headers=headers)

    def gives(self, code: str, challenge: str, **answer: Any) -> None:
        """What the token endpoint answers to `code`, for whoever has the verifier of `challenge`."""
        self.challenges[code] = challenge
        self.answers[code] = {"access_token": "access-1", "token_type": "Bearer", **answer}

    def asked(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked == path for asked, _, _ in self.requests)

    def within(self, path: str) -> str:
        """A path of a request without the issuer's own."""
        return urlsplit(path).path.removeprefix(self._path)

    def jwks(self) -> dict[str, Any]:
        """The published keys."""
        keys = []
        for kid, key in self.keys.items():
            algorithm: Any = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
            keys.append({**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"})
        return {"keys": keys}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def issuer(self) -> Issuer:
        return self.server.issuer  # type: ignore[attr-defined]

    def do_GET(self) -> None:  # http.server's
        path = self.issuer.within(self.path)
        self.issuer.requests.append((path, {k.lower(): v for k, v in self.headers.items()}, ""))
        if path == "/.well-known/openid-configuration":
            self._answer(200, self.issuer.discovery)
        elif path == "/keys":
            self._answer(200, self.issuer.jwks())
        elif path == "/userinfo" and self.issuer.userinfo is not None:
            self._answer(200, self.issuer.userinfo)
        else:
            self._answer(404, {})

    def do_POST(self) -> None:  # http.server's
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        path = self.issuer.within(self.path)
        self.issuer.requests.append((path, {k.lower(): v for k, v in self.headers.items()}, body))
        form = {name: values[0] for name, values in parse_qs(body).items()}
        code = form.get("code", "")
        answer = self.issuer.answers.pop(code, None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        shown = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if answer is None or shown != self.issuer.challenges[code]:
            self._answer(400, {"error": "invalid_grant"})
        else:
            self._answer(200, answer)

    def _answer(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal."""
