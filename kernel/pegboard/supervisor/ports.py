"""The API's address: checked before anything starts, and kept until the API listens."""

import errno
import socket
import sys
from typing import Any

from pegboard.supervisor.errors import StartError

__all__ = ("Address",)


class Address:
    """An address that this process holds for the API.

    The API's processes listen with SO_REUSEPORT, to share one port. That would let a second platform listen beside them
    and take every other request; so the port is tried without it first. On Linux it stays bound, not listening, until
    `release`: nobody else gets a port that was free when we looked. Its users bind it with SO_REUSEPORT.
    """

    def __init__(self, host: str, port: int) -> None:
        """Check and hold `host`:`port`; port 0 is any free one.

        Raises:
            StartError: the address is not ours, or taken, or not allowed.
        """
        family, self.ip = _resolve(host, port)
        self.host = host
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((self.ip, port))
            if sys.platform == "linux":
                # Without SO_REUSEADDR, so that the probe of another platform that starts now notices.
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._socket.bind((self.ip, port))
        except OSError as error:
            self._socket.close()
            raise StartError(_reason(error, host, port)) from error
        self.port: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self.release()

    @property
    def reachable_ip(self) -> str:
        """Where this machine reaches it: the loopback address for one that stands for all."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.ip, self.ip)  # noqa: S104  # compared, not bound

    @property
    def url(self) -> str:
        """Where a person on this machine finds it."""
        ip = self.reachable_ip
        return f"http://[{ip}]:{self.port}" if ":" in ip else f"http://{ip}:{self.port}"

    def release(self) -> None:
        """Hold it no longer."""
        self._socket.close()


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    try:
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise StartError(f"http.host {host!r} can't be resolved ({error}): give an address of this machine.") from error
    family, _, _, _, address = found[0]
    return family, address[0]


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: stop what listens there, or choose another with --port (0: any)."
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has: choose one above 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine: choose another with --host."
    return f"can't listen on {host}:{port}: {error.strerror}."
