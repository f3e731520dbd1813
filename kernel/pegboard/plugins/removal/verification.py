"""Is a receipt this platform's, and is the export beside it what the receipt tells of?"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pegboard.identity.keys import KeyRing
from pegboard.plugins.removal.export import MANIFEST
from pegboard.plugins.removal.receipts import SignedReceipt, read_receipt, verify_receipt

__all__ = ("PURGE_RECEIPT", "RECEIPT", "Verification", "file_problems", "verify")

RECEIPT = "receipt.json"
PURGE_RECEIPT = "purge-receipt.json"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt, or None where its signature is wrong; how many files beside it are right; and what is wrong."""

    signed: SignedReceipt | None
    files: int
    problems: Sequence[str]


async def verify(keys: KeyRing, path: Path) -> Verification:
    """Check the receipt in a file, and the export in whose folder it lies.

    Raises:
        ValueError: the file is no receipt.
        OSError: it can't be read.
    """
    unread = await asyncio.to_thread(read_receipt, path)
    await keys.load()
    try:
        signed = await verify_receipt(keys, unread)
    except ValueError as error:
        return Verification(signed=None, files=0, problems=[f"{path}: {error}"])
    files = signed.receipt.files if (path.parent / MANIFEST).exists() else {}
    problems = await asyncio.to_thread(file_problems, path.parent, files)
    return Verification(signed=signed, files=len(files) - len(problems), problems=problems)


def file_problems(folder: Path, files: Mapping[str, str]) -> list[str]:
    """What is wrong with files of an export, whose SHA-256 hashes are given by name: a sentence each. It blocks."""
    found: list[str] = []
    for name, expected in files.items():
        try:
            with (folder / name).open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            found.append(f"{folder / name} can't be read: {error.strerror or error}")
            continue
        if actual != expected:
            found.append(f"{folder / name} was changed since the export")
    return found
