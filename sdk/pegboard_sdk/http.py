"""Routes: decorators that declare what a route needs and leave the unit of work to the kernel.

    class GigController(Controller):
        path = "/gigs"

        @post(permission="creation_studio:gig.create", errors=(TaxonomyTermUnknown,))
        async def create_gig(self, data: GigCreate, uow: UnitOfWork) -> Gig:
            \"\"\"Draft a gig.\"\"\"
            return await GigService(uow).create(data)

A handler's arguments are Litestar's: names of the path, `data` (the JSON body), what is marked `FromQuery[…]`,
`FromHeader[…]` or, where the controller's path names it, `FromPath[…]`; and `uow`: a `UnitOfWork`, or a
`SteppedUnitOfWork` where `external=True`. The kernel authorizes before it parses, opens the transaction after it,
encodes the answer, commits, and only then sends.

An answer that comes in pieces is a `Stream` of an async iterator; of `text/event-stream` each piece is a whole event.

    return Stream(self._events(), media_type="text/event-stream")

One task reads the iterator, without a transaction and without a connection: what `uow` gives is read before. It is
closed whatever ends it: the receiver that hangs up or does not read, or the generation that is retired. Events then end
with `event: closing` and a hint to connect again; if the iterator fails, with `event: error` and the problem as data.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar, get_args, get_origin

import msgspec
from litestar import Controller, Request
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromHeader, FromPath, FromQuery, HeaderParameter, JSONBody, PathParameter, QueryParameter
from litestar.response import Response, Stream

from pegboard_sdk.errors import DomainError, PreconditionFailed, PreconditionRequired, Problem

__all__ = (
    "EXCHANGE",
    "Controller",
    "Exchange",
    "FromHeader",
    "FromPath",
    "FromQuery",
    "HeaderParameter",
    "IfMatch",
    "JsonBytes",
    "PathParameter",
    "QueryParameter",
    "Request",
    "Response",
    "Route",
    "Stream",
    "check_if_match",
    "delete",
    "get",
    "patch",
    "post",
    "put",
    "with_etag",
)

T = TypeVar("T")
Handler = Callable[..., Awaitable[Any]]

EXCHANGE = "pegboard.exchange"
"""The key in the ASGI scope under which the kernel keeps the request's `Exchange`."""

IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", max_length=128, description="The ETag that the edit is based on.")
]
"""A handler's `if_match: IfMatch = None` parameter; give it to `check_if_match`."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What a route declares. The kernel and the route-guard test read it from the handler's `opt["route"]`."""

    permission: str | None
    public: bool
    idempotency: Literal["none", "optional", "required"]
    external: bool
    isolation: Literal["read committed", "repeatable read", "serializable"]
    safe: bool
    status: int
    guessable: bool
    errors: tuple[type[DomainError], ...]
    timeout: float | None = None
    fresh: bool = False
    """Whether the account must have proved lately who it is (`auth.fresh_ttl`)."""


class Exchange(Protocol):
    """The kernel's side of one request."""

    async def run(self, route: Route, call: Callable[[Any], Awaitable[Any]]) -> Response[Any]:
        """Make the unit of work, run `call` with it (again, on a serialization failure), give the encoded answer."""
        ...


class JsonBytes(Response[T], Generic[T]):
    """An answer that PostgreSQL already encoded. `T` is its documented shape: `-> JsonBytes[Page[Gig]]`.

    It has just a status, a body and headers, and goes to the server as it is: Litestar's way of making an answer costs
    more than all else that a read does in Python.
    """

    def __init__(
        self, content: bytes | str, *, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.content: Any = content.encode() if isinstance(content, str) else content
        self.status_code = status_code
        self.headers: dict[str, Any] = dict(headers) if headers else {}
        self.cookies = []
        self.media_type = "application/json"
        self.background = None
        self.encoding = "utf-8"

    def to_asgi_response(self, *_args: Any, **_kwargs: Any) -> Any:
        return self._answer

    async def _answer(self, _scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.content))]
        headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.content, "more_body": False})


def with_etag(content: T, version: int, *, status_code: int = 200) -> Response[T]:
    """An answer with the ETag of the row's `version`; annotate the handler `-> Response[Gig]`."""
    return Response(content, status_code=status_code, headers={"ETag": f'"{version}"'})


def check_if_match(if_match: str | None, version: int) -> None:
    """Refuse an edit that is not based on the current `version` (RFC 9110, 13.1.1). `*` matches any.

    Raises:
        PreconditionRequired: no `If-Match` was sent (428).
        PreconditionFailed: it names another version (412).
    """
    if if_match is None:
        raise PreconditionRequired("Send If-Match with the ETag that you last read.")
    if if_match.strip() != "*" and f'"{version}"' not in [tag.strip() for tag in if_match.split(",")]:
        raise PreconditionFailed("The object has changed since you read it: read it again, then repeat the edit.")


def _problem_responses(errors: Sequence[type[DomainError]]) -> dict[int, ResponseSpec]:
    by_status: dict[int, list[str]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append(error.code)
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            media_type="application/problem+json",
            description="Problem: " + ", ".join(sorted(codes)),
        )
        for status, codes in by_status.items()
    }


def _also_responses(also: Mapping[int, str] | None, handler: Handler) -> dict[int, ResponseSpec]:
    returned = inspect.signature(handler).return_annotation
    origin = get_origin(returned)
    body = get_args(returned)[0] if inspect.isclass(origin) and issubclass(origin, Response) else returned
    return {
        status: ResponseSpec(body, generate_examples=False, description=meaning)
        for status, meaning in (also or {}).items()
    }


def _marked(parameter: inspect.Parameter, path: str) -> inspect.Parameter:
    """Litestar's markers for what goes without saying: `data` is JSON, and a name in the route's path is from it."""
    if get_origin(parameter.annotation) is not Annotated:
        if parameter.name == "data":
            return parameter.replace(annotation=JSONBody[parameter.annotation])
        if f"{{{parameter.name}:" in path:
            return parameter.replace(annotation=FromPath[parameter.annotation])
    return parameter


def _bind(handler: Handler, route: Route, path: str) -> Handler:
    """What Litestar sees of `handler`: the same arguments without `uow`, with the request; running it goes through the
    exchange.
    """
    signature = inspect.signature(handler)
    wants_uow = "uow" in signature.parameters
    wants_request = "request" in signature.parameters
    parameters = [_marked(p, path) for name, p in signature.parameters.items() if name != "uow"]
    if not wants_request:
        parameters.append(
            inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request[Any, Any, Any])
        )

    async def bound(*args: Any, **kwargs: Any) -> Any:
        request = kwargs["request"] if wants_request else kwargs.pop("request")
        exchange: Exchange = request.scope[EXCHANGE]
        if route.idempotency != "none":
            # The exchange compares the bodies of requests with one key; without `data` nobody has read it by then.
            await request.body()
        if wants_uow:
            return await exchange.run(route, lambda uow: handler(*args, uow=uow, **kwargs))
        return await exchange.run(route, lambda _: handler(*args, **kwargs))

    bound.__name__ = handler.__name__
    bound.__qualname__ = handler.__qualname__
    bound.__module__ = handler.__module__
    bound.__doc__ = handler.__doc__
    bound.__annotations__ = {p.name: p.annotation for p in parameters if p.annotation is not inspect.Parameter.empty}
    bound.__annotations__["return"] = signature.return_annotation
    bound.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by inspect
    return bound


def _route(
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    path: str,
    *,
    permission: str | None,
    public: bool,
    idempotency: Literal["none", "optional", "required"],
    external: bool,
    isolation: Literal["read committed", "repeatable read", "serializable"],
    status: int,
    guessable: bool,
    errors: Sequence[type[DomainError]],
    max_body: int | None,
    media_type: str | None,
    deprecated: bool,
    fresh: bool,
    also: Mapping[int, str] | None = None,
    timeout: float | None = None,
) -> Callable[[Handler], HTTPRouteHandler]:
    if (permission is None) == (not public):
        raise TypeError("a route declares either permission=… or public=True")
    if fresh and public:
        raise TypeError("a public route can't ask for a fresh proof: nobody is logged in there")
    route = Route(
        permission=permission,
        public=public,
        idempotency=idempotency,
        external=external,
        isolation=isolation,
        safe=method == "GET",
        status=status,
        guessable=guessable,
        errors=tuple(errors),
        timeout=timeout,
        fresh=fresh,
    )
    limits: dict[str, Any] = {} if max_body is None else {"request_max_body_size": max_body}
    if media_type is not None:
        limits["media_type"] = media_type

    def decorate(handler: Handler) -> HTTPRouteHandler:
        return HTTPRouteHandler(
            path,
            http_method=method,
            status_code=status,
            opt={"route": route},
            responses=(_problem_responses(errors) | _also_responses(also, handler)) or None,
            deprecated=deprecated,
            **limits,
        )(_bind(handler, route, path))

    return decorate


def get(
    path: str = "/",
    *,
    permission: str | None = None,
    public: bool = False,
    external: bool = False,
    status: int = 200,
    errors: Sequence[type[DomainError]] = (),
    media_type: str | None = None,
    deprecated: bool = False,
    fresh: bool = False,
) -> Callable[[Handler], HTTPRouteHandler]:
    """A read: no transaction, no writes. `errors` documents the problems that it can answer with.

    `fresh=True`, here and in all others: the account must have proved within `auth.fresh_ttl` who it is, else the
    answer is 401 `auth.step_up_required`.
    """
    return _route(
        "GET", path, permission=permission, public=public, idempotency="none", external=external,
        isolation="read committed", status=status, guessable=False, errors=errors, max_body=None,
        media_type=media_type, deprecated=deprecated, fresh=fresh,
    )  # fmt: skip


def post(
    path: str = "/",
    *,
    permission: str | None = None,
    public: bool = False,
    external: bool = False,
    idempotency: Literal["none", "optional", "required"] = "optional",
    isolation: Literal["read committed", "repeatable read", "serializable"] = "read committed",
    status: int = 201,
    guessable: bool = False,
    errors: Sequence[type[DomainError]] = (),
    max_body: int | None = None,
    media_type: str | None = None,
    deprecated: bool = False,
    fresh: bool = False,
    also: Mapping[int, str] | None = None,
    timeout: float | None = None,
) -> Callable[[Handler], HTTPRouteHandler]:
    """A write in one transaction.

    `idempotency="required"` refuses a request without `Idempotency-Key` (routes that move money). `external=True`:
    the handler calls out and takes a `SteppedUnitOfWork`. `guessable=True`: log-in and the like, limited strictly.
    `max_body` in bytes. `also` documents further statuses, with what each means, that the handler may give the same
    body with: `return Response(order, status_code=202)`.
    `timeout` in seconds is what a route that calls out may take, where the platform's own time-out is too short for it.
    """
    return _route(
        "POST", path, permission=permission, public=public, idempotency=idempotency, external=external,
        isolation=isolation, status=status, guessable=guessable, errors=errors, max_body=max_body,
        media_type=media_type, deprecated=deprecated, fresh=fresh, also=also, timeout=timeout,
    )  # fmt: skip


def put(
    path: str = "/",
    *,
    permission: str | None = None,
    public: bool = False,
    external: bool = False,
    isolation: Literal["read committed", "repeatable read", "serializable"] = "read committed",
    status: int = 200,
    errors: Sequence[type[DomainError]] = (),
    max_body: int | None = None,
    deprecated: bool = False,
    fresh: bool = False,
) -> Callable[[Handler], HTTPRouteHandler]:
    """Replace an object, in one transaction."""
    return _route(
        "PUT", path, permission=permission, public=public, idempotency="optional", external=external,
        isolation=isolation, status=status, guessable=False, errors=errors, max_body=max_body,
        media_type=None, deprecated=deprecated, fresh=fresh,
    )  # fmt: skip


def patch(
    path: str = "/",
    *,
    permission: str | None = None,
    public: bool = False,
    external: bool = False,
    isolation: Literal["read committed", "repeatable read", "serializable"] = "read committed",
    status: int = 200,
    errors: Sequence[type[DomainError]] = (),
    max_body: int | None = None,
    deprecated: bool = False,
    fresh: bool = False,
) -> Callable[[Handler], HTTPRouteHandler]:
    """Change fields of an object, in one transaction; fields that weren't sent are `msgspec.UNSET`."""
    return _route(
        "PATCH", path, permission=permission, public=public, idempotency="optional", external=external,
        isolation=isolation, status=status, guessable=False, errors=errors, max_body=max_body,
        media_type=None, deprecated=deprecated, fresh=fresh,
    )  # fmt: skip


def delete(
    path: str = "/",
    *,
    permission: str | None = None,
    public: bool = False,
    external: bool = False,
    isolation: Literal["read committed", "repeatable read", "serializable"] = "read committed",
    status: int = 204,
    errors: Sequence[type[DomainError]] = (),
    deprecated: bool = False,
    fresh: bool = False,
) -> Callable[[Handler], HTTPRouteHandler]:
    """Remove an object, in one transaction. Doing it twice is not an error of the second."""
    return _route(
        "DELETE", path, permission=permission, public=public, idempotency="optional", external=external,
        isolation=isolation, status=status, guessable=False, errors=errors, max_body=None,
        media_type=None, deprecated=deprecated, fresh=fresh,
    )  # fmt: skip
