"""A server that does not answer, said in the words of who can help it."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

__all__ = ("DatabaseUnreachable", "explain", "reaching")


class DatabaseUnreachable(ConnectionError):
    """No server answers where `database.url` points; the message says where that is and what to do."""


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Around what connects to `url`.

    Raises:
        DatabaseUnreachable: instead of the system's own errors.
    """
    try:
        yield
    except ssl.SSLError:
        raise  # somebody answered
    except OSError as error:
        raise DatabaseUnreachable(
            f"PostgreSQL does not answer at {_place(url)}: start it, or correct database.url"
            " (plugins.toml or PEGBOARD_DATABASE__URL)"
        ) from error


def explain(error: Exception) -> str:
    """Why the database can't be used, as one line."""
    if isinstance(error, DatabaseUnreachable):
        return str(error)
    return f"the database can't be used: {error or type(error).__name__}"


def _place(url: str) -> str:
    """HOST:PORT, or the folder of the socket. Nothing else of the URL: it holds a password."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    place = parts.netloc.rpartition("@")[2] or query.get("host", "localhost")
    named = place.startswith("/") or "," in place or ":" in place.rpartition("]")[2]
    return place if named else f"{place}:{query.get('port', '5432')}"
