"""The OpenAPI document: every operation named after its plugin, every problem described."""

import re
from collections import Counter
from collections.abc import Set
from http import HTTPStatus
from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Method
from pegboard_sdk.http import Route

from pegboard import __version__

__all__ = ("complete_document", "openapi_config", "operation_id")

_JSON = "application/json"
PROBLEM = {"$ref": "#/components/schemas/Problem"}
BEARER = "bearer"
COOKIE = "cookie"
SCHEMAS = "#/components/schemas/"
_GENERIC = re.compile(r"^(?P<outer>[A-Z]\w*?)_(?P<inner>[\w.]+)_$")
_SENTENCE = re.compile(r"^(.+?)[.?!](?=\s|$)", re.DOTALL)
_CLAUSE = re.compile(r":\s")
_DOUBLED = re.compile(r"^pegboard_(?P<plugin>[a-z0-9_]+)_[a-z]+_(?P<name>[A-Z]\w*)$")


def operation_id(handler: HTTPRouteHandler, _method: Method, _path: list[str | Any]) -> str:
    """`<plugin>_<verb>_<noun>`: the handler's function is named `verb_noun`."""
    return f"{handler.opt.get('plugin', 'kernel')}_{handler.handler_name}"


def openapi_config() -> OpenAPIConfig:
    """What Litestar needs to know; `complete_document` adds the rest."""
    return OpenAPIConfig(
        title="Pegboard",
        version=__version__,
        description="A services marketplace. Errors are RFC 9457 problems with a stable `code`;"
        " lists are `{items, next_cursor}`.",
        operation_id_creator=operation_id,
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                BEARER: SecurityScheme(
                    type="http", scheme="bearer", bearer_format="JWT", description="POST /api/v1/auth/login gives it."
                ),
                COOKIE: SecurityScheme(
                    type="apiKey",
                    security_scheme_in="cookie",
                    name="__Host-pegboard_access",
                    description="A browser's: POST /api/v1/auth/login with `cookies` gives it, and a CSRF token that"
                    " requests other than GET repeat in the header X-CSRF-Token. Without https: no `__Host-`.",
                ),
            }
        ),
        # Litestar wants a page of its own; the gate answers 404 there. Ours is /openapi.json, with what is added below.
        render_plugins=[JsonRenderPlugin()],
    )


def _problem_response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}


def complete_document(
    document: dict[str, Any], routes: dict[tuple[str, str], Route], anonymous: Set[str]
) -> dict[str, Any]:
    """Add to each operation what the kernel does around its handler: authentication, limits, idempotency, problems.

    `routes` holds each operation's declaration by (path, lower-case method), `anonymous` the permissions of who is not
    logged in.
    """
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.setdefault("FieldError", _FIELD_ERROR)
    schemas["Problem"] = _PROBLEM
    schemas = _rename_schemas(document)
    operations = [
        (path, operation, route)
        for path, item in document.get("paths", {}).items()
        for method, operation in item.items()
        if isinstance(operation, dict) and (route := routes.get((path, method))) is not None
    ]
    versioned = {_shown(operation) for _, operation, _ in operations if _takes(operation, "If-Match")} - {""}
    for path, operation, route in operations:
        _describe(operation, schemas)
        _add_headers(operation, route, tagged=_shown(operation) in versioned)
        _complete(path, operation, route, anonymous)
    return document


def _shown(operation: dict[str, Any]) -> str:
    """The reference to the schema that the operation answers with when all is well; empty where there is none."""
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            for content in response.get("content", {}).values():
                return content.get("schema", {}).get("$ref", "")
    return ""


def _takes(operation: dict[str, Any], parameter: str) -> bool:
    return any(one["name"] == parameter for one in operation.get("parameters", ()))


def _describe(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Say in the docstrings' words what Litestar says in phrases of the status codes and names of the handlers."""
    said = operation.get("description", "")
    operation["summary"] = _CLAUSE.split(_first_sentence(said))[0] or operation["operationId"]
    shown = schemas.get(_shown(operation).removeprefix(SCHEMAS), {})
    meaning = _first_sentence(said if "items" in shown.get("properties", {}) else shown.get("description") or said)
    for status, response in operation["responses"].items():
        if status[0] == "3":
            response.pop("content", None)  # it sends the browser on
        if status == "204":
            response["description"] = "Done; there is nothing to show."
            response.pop("content", None)
        elif status.startswith("2") and response["description"] in (HTTPStatus(int(status)).description, _STREAM):
            response["description"] = f"{meaning}."
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and "description" not in parameter and parameter["name"].endswith("_id"):
            parameter["description"] = f"The {parameter['name'].removesuffix('_id').replace('_', ' ')}'s id."


def _first_sentence(text: str) -> str:
    """Without its full stop, in one line."""
    found = _SENTENCE.match(text)
    return " ".join((found[1] if found else text).split())


def _add_headers(operation: dict[str, Any], route: Route, *, tagged: bool) -> None:
    """`tagged`: what is shown has a version, which edits are based on."""
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            headers = response.setdefault("headers", {})
            if tagged:
                headers["ETag"] = _ETAG
            if route.idempotency != "none":
                headers["Idempotent-Replayed"] = _REPLAYED


def _rename_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Give schemas names that a generated client can show: `Page_pegboard_shop.schemas.Thing_` becomes `ThingPage`, and
    where two plugins have a schema of one name, `pegboard_shop_schemas_Thing` becomes `ShopThing`.
    """
    schemas = document["components"]["schemas"]
    names = {old: _readable(old) for old in schemas}
    taken = Counter(names.values())
    names = {old: new if taken[new] == 1 else old for old, new in names.items()}
    document["components"]["schemas"] = renamed = {names[old]: schema for old, schema in schemas.items()}
    _rename_references(document, {f"{SCHEMAS}{old}": f"{SCHEMAS}{new}" for old, new in names.items() if old != new})
    return renamed


def _readable(name: str) -> str:
    if generic := _GENERIC.match(name):
        return f"{generic['inner'].rpartition('.')[2]}{generic['outer']}"
    if doubled := _DOUBLED.match(name):
        return "".join(word.title() for word in doubled["plugin"].split("_")) + doubled["name"]
    return name


def _rename_references(node: Any, names: dict[str, str]) -> None:
    if isinstance(node, dict):
        if (reference := node.get("$ref")) in names:
            node["$ref"] = names[reference]
        for value in node.values():
            _rename_references(value, names)
    elif isinstance(node, list):
        for value in node:
            _rename_references(value, names)


def _complete(path: str, operation: dict[str, Any], route: Route, anonymous: Set[str]) -> None:
    responses: dict[str, Any] = operation["responses"]
    # Where a standard has a shape of its own for refusals (OAuth), all that the route refuses may have it.
    own = next(
        (one["content"] for status, one in responses.items() if status[0] == "4" and _JSON in one["content"]), {}
    )

    def add(status: int, meaning: str) -> None:
        """A problem that the kernel answers with, besides those that the route names itself."""
        named = responses.get(str(status), {}).get("description", "")
        if not named.startswith("Problem: "):
            named = "Problem"
        responses[str(status)] = _problem_response(
            f"{named}: {meaning}" if named == "Problem" else f"{named}; {meaning}"
        )
        responses[str(status)]["content"] |= own

    add(400, "the request can't be read, or a field is not valid")
    if route.permission is not None:
        needless = route.permission in anonymous
        add(401, "the token is not valid" if needless else "nobody is logged in, or the token is not valid")
        if route.fresh:
            add(401, "auth.step_up_required: the account must prove anew who it is")
        add(403, f"needs the permission {route.permission}")
        operation["security"] = [*([{}] if needless else []), {BEARER: []}, {COOKIE: []}]
        operation["x-permission"] = route.permission
    if "{" in path:
        add(404, "there is nothing at this path")
    if not route.safe:
        add(409, "the object's state does not allow it")
        add(413, "the body is too large")
    if not route.safe or operation.get("parameters"):
        add(422, "a value breaks a rule")
    add(414, "the path and query are too long")
    add(429, "too many requests, wait for Retry-After seconds")
    add(431, "the headers are too large")
    add(503, "something needed is down, try again after Retry-After seconds")
    if "requestBody" in operation:
        add(408, "the body did not come in time")
        add(415, "the body is compressed; send it as it is")
    for status in ("429", "503") if route.idempotency == "none" else ("409", "429", "503"):
        responses[status]["headers"] = {"Retry-After": _RETRY_AFTER}
    responses["429"]["headers"] |= _RATE
    responses["default"] = _problem_response("Problem")
    if route.idempotency != "none":
        operation.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": route.idempotency == "required",
                "description": "The same key, method, path and body again gives the first answer again, for 24 hours.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            }
        )


_STREAM = "Stream Response"
"""What Litestar says of a stream."""

_ETAG = {
    "description": "The version that is shown: send it as If-Match with an edit.",
    "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
}
_REPLAYED = {
    "description": "`true` where this is the first answer to the Idempotency-Key again.",
    "schema": {"type": "string", "const": "true"},
}
_RETRY_AFTER = {
    "description": "Seconds to wait before the next try.",
    "schema": {"type": "integer", "minimum": 1},
}
_RATE = {
    "RateLimit-Policy": {
        "description": "The rate that was exceeded: its name, requests (q) and seconds (w).",
        "schema": {"type": "string", "examples": ['"account";q=3000;w=60']},
    },
    "RateLimit": {
        "description": "What is left of it (r), and in how many seconds there is more (t).",
        "schema": {"type": "string", "examples": ['"account";r=0;t=12']},
    },
}
_FIELD_ERROR = {
    "type": "object",
    "title": "FieldError",
    "required": ["pointer", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "JSON pointer into the body, or a parameter's name."},
        "detail": {"type": "string"},
    },
}
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "urn:pegboard:problem:<code>"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do, for a person."},
        "code": {"type": "string", "description": "Stable, for programs."},
        "request_id": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    },
}
