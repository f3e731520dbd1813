"""Litestar's request with a bound on how deep JSON may nest, checked before it is decoded."""

from typing import Any

from litestar import Request
from litestar.exceptions import ClientException
from pegboard_sdk.errors import DomainError

__all__ = ("BoundedRequest", "TooDeep", "nesting_exceeds")


class TooDeep(DomainError):
    """The JSON nests deeper than the platform takes."""

    code = "nesting_too_deep"


def nesting_exceeds(body: bytes, bound: int) -> bool:
    """Whether the JSON text nests deeper than `bound`. Brackets inside strings don't count."""
    if body.count(b"[") + body.count(b"{") <= bound:
        return False
    depth = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            if depth > bound:
                return True
        elif byte in (0x5D, 0x7D):
            depth -= 1
    return False


class BoundedRequest(Request[Any, Any, Any]):
    """The request class of all routes."""

    max_nesting = 64

    async def json(self) -> Any:
        if nesting_exceeds(await self.body(), self.max_nesting):
            raise TooDeep(f"The body nests deeper than {self.max_nesting} levels.")
        try:
            return await super().json()
        except UnicodeDecodeError as error:
            # msgspec finds it only when a text is made, and Litestar knows it for no fault of the caller's.
            raise ClientException("not UTF-8") from error
