"""How an OAuth client proves who it is: by its secret (RFC 6749, 2.3.1) or a signed assertion (RFC 7523)."""

import base64
import binascii
import hashlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus
from uuid import UUID

import jwt
import msgspec
import structlog
from pegboard_sdk.work import Record

from pegboard.machines.oauth_errors import InvalidClient, InvalidRequest
from pegboard.machines.public_keys import PublicKey, algorithms_of, load_key
from pegboard.machines.repository import CredentialRepository
from pegboard.machines.texts import MachineText, digest_of, same_digest
from pegboard.machines.verification import associated_data
from pegboard.vault.errors import VaultError

if TYPE_CHECKING:
    from pegboard.runtime import Runtime
    from pegboard.work import Work

__all__ = ("ASSERTION_TYPE", "ClientForm", "ClientProof", "authenticate_client", "read_proof", "token_url")

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MAX_ASSERTION = 4096
_MAX_LIFETIME = 600
"""Seconds that an assertion may have left: its id is kept so long."""
_LEEWAY = 30
log = structlog.get_logger("pegboard.machines")


class ClientForm(msgspec.Struct, frozen=True, kw_only=True):
    """How a client says who it is, where not by `Authorization: Basic`."""

    client_id: str = ""
    client_secret: str = ""
    client_assertion_type: str = ""
    client_assertion: str = ""


class ClientProof(msgspec.Struct, frozen=True, kw_only=True):
    """Who a client says it is, and what should prove it: one of the two."""

    client_id: UUID
    secret: MachineText | None = None
    assertion: str | None = None


def token_url(runtime: "Runtime") -> str | None:
    """The token endpoint's address, as the configuration knows it: never as a request says."""
    public = runtime.config.http.public_url.rstrip("/")
    return f"{public}/api/v1/auth/token" if public else None


def read_proof(form: ClientForm, authorization: str | None) -> ClientProof:
    """What the client sent, before anything is looked up.

    Raises:
        InvalidRequest: it used two ways at once, or the names don't fit together.
        InvalidClient: it used none, or what it sent can't be right.
    """
    scheme, _, basic = (authorization or "").partition(" ")
    ways = [scheme.lower() == "basic", bool(form.client_secret), bool(form.client_assertion)]
    if sum(ways) > 1:
        raise InvalidRequest("Use one way of client authentication only.")
    if ways[0]:
        client_id, secret = _read_basic(basic)
        if form.client_id and form.client_id != client_id:
            raise InvalidRequest("The client_id in the body is another than the one in Authorization.")
        return ClientProof(client_id=_uuid(client_id), secret=_secret(secret))
    if ways[1]:
        return ClientProof(client_id=_uuid(form.client_id), secret=_secret(form.client_secret))
    if ways[2]:
        if form.client_assertion_type != ASSERTION_TYPE:
            raise InvalidRequest(f"Send client_assertion_type={ASSERTION_TYPE}.")
        client_id = form.client_id or str(_claims(form.client_assertion).get("sub", ""))
        return ClientProof(client_id=_uuid(client_id), assertion=form.client_assertion)
    raise InvalidClient("Authenticate as a client: by Authorization: Basic, client_secret or client_assertion.")


async def authenticate_client(work: "Work", proof: ClientProof) -> Record:
    """The credential that proves the client, held until the end of the transaction so that it can't end meanwhile:
    `id`, `account_id`, `scopes`, `rate` and `left`, the seconds that it has left.

    Raises:
        InvalidClient: none does.
    """
    repository = CredentialRepository(work)
    if proof.secret is not None:
        digest = digest_of(proof.secret)
        rows = await repository.standing(proof.client_id, "client_secret", public_id=proof.secret.public_id)
        for row in rows:
            if _opens(work, row, digest):
                return row
        raise InvalidClient
    assertion = proof.assertion or ""
    for row in await repository.standing(proof.client_id, "public_key", public_id=_key_id(assertion)):
        key = msgspec.json.decode(row["public_key"], type=PublicKey)
        claims = _verified(work, assertion, key, proof.client_id)
        if claims is not None:
            used = hashlib.sha256(str(claims["jti"]).encode()).digest()
            if not await repository.use_assertion(row["id"], used, expires_at=int(claims["exp"]) + _LEEWAY):
                raise InvalidClient("This assertion was used before: sign another, with a jti of its own.")
            return row
    raise InvalidClient


def _opens(work: "Work", row: Record, digest: bytes) -> bool:
    try:
        stored = work.runtime.vault.decrypt(row["digest"], associated_data=associated_data(row["id"]))
    except VaultError as error:
        log.error("credential.unreadable", credential=str(row["id"]), error=str(error))
        return False
    return same_digest(stored, digest)


def _verified(work: "Work", assertion: str, key: PublicKey, client_id: UUID) -> dict[str, Any] | None:
    url = token_url(work.runtime)
    if url is None:
        raise InvalidClient("Assertions need an audience: the administrator has to set http.public_url.")
    try:
        claims = jwt.decode(
            assertion,
            load_key(key),
            algorithms=list(algorithms_of(key)),
            audience=[url, work.runtime.config.http.public_url],
            issuer=str(client_id),
            leeway=_LEEWAY,
            options={"require": ["exp", "iss", "sub", "aud", "jti"]},
        )
    except jwt.PyJWTError:
        return None
    if claims["sub"] != str(client_id) or claims["exp"] > time.time() + _MAX_LIFETIME:
        return None
    return claims


def _key_id(assertion: str) -> str | None:
    """The key that an assertion names, if it does. The key that is registered decides about everything else."""
    try:
        kid = jwt.get_unverified_header(assertion).get("kid")
    except jwt.PyJWTError as error:
        raise InvalidClient from error
    return kid if isinstance(kid, str) else None


def _claims(assertion: str) -> dict[str, Any]:
    """What an assertion says of itself, for the client's id only: nothing of it is believed yet."""
    if len(assertion) > _MAX_ASSERTION:
        raise InvalidClient
    try:
        return jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise InvalidClient from error


def _read_basic(encoded: str) -> tuple[str, str]:
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidClient from error
    return unquote_plus(client_id), unquote_plus(secret)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidClient from error


def _secret(text: str) -> MachineText:
    found = MachineText.parse(text, "client_secret")
    if found is None:
        raise InvalidClient
    return found
