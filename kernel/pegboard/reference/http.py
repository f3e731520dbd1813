"""The page on HTTP operations."""

from collections.abc import Iterator, Set
from typing import Any

import msgspec
from litestar import Litestar
from pegboard_sdk import errors as sdk_errors
from pegboard_sdk import outbound
from pegboard_sdk.errors import DomainError
from pegboard_sdk.http import Route

from pegboard.factors.errors import FactorRequired
from pegboard.identity.errors import CsrfRefused, StepUpRequired
from pegboard.identity.tokens import TokenInvalid
from pegboard.isolation.errors import PluginUnavailable
from pegboard.machines import oauth_errors
from pegboard.machines.errors import ApiKeyInvalid
from pegboard.maintenance.errors import UnderMaintenance
from pegboard.reference.markdown import cell, code, page, summary, table
from pegboard.reference.subject import Subject
from pegboard.taxonomies.service import TermUnknown
from pegboard.tenancy.errors import BadHost, BadTenant, HostUnknown, OtherTenant, TenantNotFound, TenantSuspended
from pegboard.web.app import declared_routes, routers
from pegboard.web.idempotency import (
    IdempotencyKeyInFlight,
    IdempotencyKeyInvalid,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
)
from pegboard.web.openapi import openapi_config
from pegboard.web.pages import openapi_document
from pegboard.web.problems import OutcomeUnknown
from pegboard.web.receiving import BodyTooSlow
from pegboard.web.requests import BodyMissing, TooDeep
from pegboard.web.schemas import DescribedStructs
from pegboard.web.screening import (
    CompressedBody,
    HeaderRepeated,
    HeadersTooLarge,
    Misdirected,
    TargetTooLong,
    TransferCodingUnknown,
)

__all__ = ("http_page", "make_document")

_KERNEL: frozenset[type[DomainError]] = frozenset(
    (
        ApiKeyInvalid,
        BadHost,
        BadTenant,
        BodyMissing,
        BodyTooSlow,
        CompressedBody,
        CsrfRefused,
        FactorRequired,
        HeaderRepeated,
        HeadersTooLarge,
        HostUnknown,
        IdempotencyKeyInFlight,
        IdempotencyKeyInvalid,
        IdempotencyKeyMissing,
        IdempotencyKeyReused,
        Misdirected,
        OtherTenant,
        OutcomeUnknown,
        PluginUnavailable,
        StepUpRequired,
        TargetTooLong,
        TenantNotFound,
        TenantSuspended,
        TermUnknown,
        TokenInvalid,
        TooDeep,
        TransferCodingUnknown,
        UnderMaintenance,
        *(
            error
            for module in (sdk_errors, outbound, oauth_errors)
            for name in module.__all__
            if isinstance(error := getattr(module, name), type) and issubclass(error, DomainError)
        ),
    )
) - {DomainError, oauth_errors.OAuthError}
_NAMELESS = (
    ("body_too_large", "413", "The body is larger than the operation takes."),
    ("internal_error", "500", "It is our fault; the log has the cause under the request's id."),
    ("invalid_request", "400", "Fields are missing or not of their type; `errors` names the first."),
    ("malformed_request", "400", "The request can't be read as what the operation takes."),
    ("method_not_allowed", "405", "The path does not take this method; `Allow` names those that it takes."),
    ("timeout", "503", "It took too long and was given up; nothing was changed."),
)
"""Problems that the kernel makes of other people's exceptions, without a class of their own."""

_INTRODUCTION = """
A running platform serves its contract at `/openapi.json` and shows it at `/docs`, with every field; this page lists the
operations. An access token goes into `Authorization: Bearer …`; `POST /api/v1/auth/login` gives one. Errors are
`application/problem+json` (RFC 9457) with a stable `code`. Lists are `{items, next_cursor}`, with `limit` (at most 100)
and `cursor`. An edit sends `If-Match` with the ETag that it is based on.

An operation's *problems* are those of its own. Any operation may also answer with the kernel's, listed at the end.

**Idempotency-Key:** the same key, method, path and body again gives the first answer again, for 24 hours. Writes take
one, unless they are said not to; where money moves it is required.
"""


def make_document(subject: Subject) -> tuple[dict[str, Any], dict[tuple[str, str], Route]]:
    """The OpenAPI document of the built-in plugins' routes, and each operation's declaration by (path, method)."""
    app = Litestar(
        route_handlers=routers(subject.registry),
        openapi_config=openapi_config(),
        plugins=[DescribedStructs()],
        logging_config=None,
        debug=False,
    )
    declared = {key: route for key, (route, _) in declared_routes(app).items()}
    return msgspec.json.decode(openapi_document(app, subject.registry)), declared


def http_page(subject: Subject) -> str:
    """Every operation by plugin, with what it needs and how it refuses."""
    document, declared = make_document(subject)
    return page("HTTP", _INTRODUCTION, _sections(subject, document["paths"], declared))


def _sections(subject: Subject, paths: dict[str, Any], declared: dict[tuple[str, str], Route]) -> Iterator[str]:
    for plugin in subject.plugins:
        keys = sorted(key for key in declared if paths[key[0]][key[1]]["tags"] == [plugin.name])
        if keys:
            yield f"## {plugin.name}"
            for path, method in keys:
                yield from _operation(path, method, paths[path][method], declared[path, method])
    errors = {error for route in declared.values() for error in route.errors} | _raised_by(subject)
    yield "## Problems"
    yield (
        "What operations, and the services that plugins give each other, refuse with; `code` is what a program goes by."
    )
    yield table(("code", "status", "meaning"), _problems(errors - _KERNEL))
    yield "## Problems of the kernel"
    yield table(("code", "status", "meaning"), sorted((*_problems(_KERNEL), *_nameless())))


def _operation(path: str, method: str, operation: dict[str, Any], route: Route) -> Iterator[str]:
    yield f"### `{method.upper()} {path}`"
    yield " ".join(operation.get("description", operation.get("summary", "")).split("\n\n")[0].split())
    statuses = sorted(status for status in operation["responses"] if status.startswith(("1", "2", "3")))
    lines = [
        f"operation `{operation['operationId']}`",
        "public" if route.permission is None else f"permission `{route.permission}`",
        f"answers {', '.join(statuses)}",
    ]
    if route.idempotency == "required":
        lines.append("**Idempotency-Key required**")
    elif route.idempotency == "none" and not route.safe:
        lines.append("no Idempotency-Key")
    if route.fresh:
        lines.append("needs a fresh proof of who it is")
    if route.guessable:
        lines.append("limited strictly by address")
    problems = sorted({(error.status, error.code) for error in route.errors})
    yield " · ".join(lines) + (
        "\n\nProblems: " + ", ".join(f"{status} `{name}`" for status, name in problems) if problems else ""
    )


def _raised_by(subject: Subject) -> set[type[DomainError]]:
    """The errors that the built-in plugins define: their services raise some that no operation of theirs names."""
    packages = {f"pegboard_{plugin.name}" for plugin in subject.plugins}
    return {error for error in _kinds(DomainError) if error.__module__.partition(".")[0] in packages}


def _kinds(error: type[DomainError]) -> Iterator[type[DomainError]]:
    """The subclasses that have a code of their own, at any depth."""
    for kind in error.__subclasses__():
        if "code" in vars(kind):
            yield kind
        yield from _kinds(kind)


def _nameless() -> Iterator[tuple[str, str, str]]:
    return ((code(name), status, cell(meaning)) for name, status, meaning in _NAMELESS)


def _problems(errors: Set[type[DomainError]]) -> Iterator[tuple[str, str, str]]:
    for error in sorted(errors, key=lambda one: (one.code, one.status)):
        yield code(error.code), str(error.status), cell(summary(error))
