"""Litestar's request, with clear refusals of JSON that can't be read."""

from typing import Any

from litestar import Request
from litestar.exceptions import ClientException
from pegboard_sdk.errors import DomainError

__all__ = ("JsonRequest", "TooDeep")


class TooDeep(DomainError):
    """The JSON nests deeper than the decoder goes, which is about as deep as Python's own stack."""

    code = "nesting_too_deep"


class JsonRequest(Request[Any, Any, Any]):
    """The request class of all routes."""

    async def json(self) -> Any:
        try:
            return await super().json()
        except RecursionError as error:
            raise TooDeep("The body nests too deep.") from error
        except UnicodeDecodeError as error:
            # msgspec finds it only when a text is made, and Litestar knows it for no fault of the caller's.
            raise ClientException("not UTF-8") from error
