"""A message to one person."""

from typing import Any

import msgspec

__all__ = ("Message",)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Plain text to one address. `kind` (snake_case, such as `reset_password`) is all that logs and job rows show of
    it: address and text may be secret.
    """

    to: str
    kind: str
    subject: str
    text: str

    def __repr__(self) -> str:
        return f"Message(kind={self.kind!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("kind", self.kind)]
