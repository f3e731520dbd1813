"""Hashing passwords: argon2id, in a few threads, and never more at once than those can do soon."""

import asyncio
import base64
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2.exceptions import VerifyMismatchError
from pegboard_sdk.errors import Unavailable

__all__ = ("Passwords",)

T = TypeVar("T")

_QUEUE_PER_THREAD = 16
"""A hash takes some 0.1 s: whoever would wait longer than two seconds is better told to come back."""


class Passwords:
    """Hashes and checks passwords with argon2-cffi's parameters (RFC 9106, low memory: 64 MiB, 3 passes).

    Call it outside of transactions: a connection that waits for a hash serves nobody.
    """

    def __init__(self, *, threads: int) -> None:
        self._hasher = argon2.PasswordHasher()
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="passwords")
        self._bound = threads * _QUEUE_PER_THREAD
        self._waiting = 0
        self._decoy = _decoy(self._hasher)

    async def hash(self, password: str) -> str:
        """The hash to store, with its salt and parameters.

        Raises:
            Unavailable: too many passwords are being hashed.
        """
        return await self._run(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` is the one of which `stored` is the hash.

        Where nothing is stored (no such account, or one without a password) a decoy is checked: the work is the same,
        the answer is no.

        Raises:
            Unavailable: too many passwords are being hashed.
        """
        return await self._run(lambda: self._verify(stored, password))

    def outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than today's, so that the password should be hashed again."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """End the threads; hashes that have begun are finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(stored or self._decoy, _bytes(password))
        except VerifyMismatchError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._bound:
            raise Unavailable("Too many people are logging in at once. Try again in a moment.", retry_after=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def _bytes(password: str) -> bytes:
    # The same characters from another keyboard may come as other code points (NIST SP 800-63B, 3.1.1.2).
    return unicodedata.normalize("NFKC", password).encode()


def _decoy(hasher: argon2.PasswordHasher) -> str:
    """A well-formed hash with today's parameters that no password is known to have. Checking it takes as long."""
    salt, digest = (
        base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
