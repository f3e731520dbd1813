"""How large a request's head may be. The server is told so too: it has to hold a head before anybody can look at it."""

__all__ = ("MAX_HEADERS", "MAX_TARGET")

MAX_TARGET = 8_192
"""Bytes of the path and the query."""
MAX_HEADERS = 32_768
"""Bytes of all headers' names and values. The server itself takes at most 100 of them."""
