"""Where a session is used from: what its owner recognizes it by in the list of their sessions."""

import msgspec
from pegboard_sdk.settings import Secret

__all__ = ("UNKNOWN", "Device")


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """`ip` is the caller's address, past trusted proxies; `user_agent` is what the program calls itself, at most 300
    characters. Neither proves anything; `token`, if it holds one, proves that its account trusts it.
    """

    ip: str = ""
    user_agent: str = ""
    token: Secret = Secret("")


UNKNOWN = Device()
"""Where no request is: a command, a job, a test."""
