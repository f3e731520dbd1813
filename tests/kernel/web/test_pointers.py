"""Where a body is wrong is told by a JSON pointer (RFC 6901), whatever its fields are called."""

from typing import Any

import msgspec
import pytest
from litestar import Litestar, Request, Response, post
from litestar.params import FromQuery, JSONBody
from litestar.testing import AsyncTestClient
from pegboard.web.problems import encode_problem, to_domain_error


class Size(msgspec.Struct, forbid_unknown_fields=True):
    width: int


class Body(msgspec.Struct):
    data: Size | None = None
    metadata: Size | None = None
    sizes: list[Size] = []
    named: dict[str, Size] = {}


@post("/")
async def take(data: JSONBody[Body], count: FromQuery[int] = 0) -> None:
    """Takes it."""


def answer(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return Response(encode_problem(to_domain_error(error, request_id="1"), "1"), media_type="application/json")


@pytest.mark.parametrize(
    ("body", "query", "pointers"),
    [
        ([], "", [""]),
        ({"metadata": {"width": "x"}}, "", ["/metadata/width"]),
        ({"metadata": {}}, "", ["/metadata/width"]),
        ({"data": {"width": "x"}}, "", ["/data/width"]),
        ({"data": {}}, "", ["/data/width"]),
        ({"sizes": [{"width": 1}, {}]}, "", ["/sizes/1/width"]),
        ({"sizes": [{"width": 1, "~/.": 1}]}, "", ["/sizes/0/~0~1."]),
        ({"named": {"a.b": {"width": "x"}}}, "", ["/named"]),  # msgspec does not tell the key
        ({"named": {"a.b": {}}}, "", ["/named"]),
        ({"sizes": 1}, "?count=x", ["count", "/sizes"]),
    ],
)
async def test_the_pointer_is_the_place(body: Any, query: str, pointers: list[str]) -> None:
    app = Litestar([take], exception_handlers={Exception: answer}, openapi_config=None, logging_config=None)
    async with AsyncTestClient(app) as client:
        errors = (await client.post(f"/{query}", json=body)).json()["errors"]
    assert sorted(error["pointer"] for error in errors) == sorted(pointers)
