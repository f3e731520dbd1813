"""Host names: how people write them, how requests carry them, and the one form in which they are compared."""

import re
from collections.abc import Iterable

from pegboard_sdk.errors import FieldError, InvalidInput

from pegboard.tenancy.errors import BadHost

__all__ = ("MAX_HOST", "host_of_request", "normal_host")

MAX_HOST = 253
"""RFC 1035, 2.3.4, less the length bytes of the ends."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
# RFC 3986, 3.2.2: a name or an address, and perhaps a port. Nothing else gets as far as a comparison.
_HEADER = re.compile(rb"(?P<host>[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{0,5})?")


def normal_host(text: str) -> str:
    """A host name as it is kept: lower case, no last dot, international names in ASCII (`xn--…`, UTS 46).

    Raises:
        InvalidInput: not a host name, such as a URL, an address or one with a port.
    """
    import idna  # its tables take 10 ms to import, and only operators name hosts

    name = text.strip().removesuffix(".")
    try:
        name = name.lower() if name.isascii() else idna.encode(name, uts46=True, std3_rules=True).decode()
        if name.startswith("xn--") or ".xn--" in name:
            idna.decode(name)  # what is no name in Unicode can't be one in ASCII
    except idna.IDNAError as error:
        raise _refused(text) from error
    if len(name) > MAX_HOST or not _NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise _refused(text)
    return name


def _refused(text: str) -> InvalidInput:
    detail = f"{text!r} is no host name: write it like shop.example.com, without https:// and port."
    return InvalidInput(detail, errors=[FieldError("/host", detail)])


def host_of_request(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The host that a request names, in the form of `normal_host`; it may be an address. Empty: it names none.

    Raises:
        BadHost: there are several Host headers, or it is malformed: a proxy may have understood it otherwise.
    """
    named = [value for name, value in headers if name == b"host"]
    if not named:
        return ""
    if len(named) > 1:
        raise BadHost("Send one Host header.")
    found = _HEADER.fullmatch(named[0])
    if found is None:
        raise BadHost("The Host header is no host name.")
    return found["host"].decode().lower().removesuffix(".")
