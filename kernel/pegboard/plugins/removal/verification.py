"""Is a receipt this platform's, and is the export beside it what the receipt tells of?"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pegboard.identity.keys import KeyRing
from pegboard.plugins.removal.export import MANIFEST
from pegboard.plugins.removal.receipts import SignedReceipt, read_receipt, verify_receipt

__all__ = ("PURGE_RECEIPT", "RECEIPT", "Verification", "file_problems", "receipts_in", "verify")

RECEIPT = "receipt.json"
PURGE_RECEIPT = "purge-receipt.json"


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt, or None where its signature is wrong; how many files beside it are right; and what is wrong."""

    signed: SignedReceipt | None
    files: int
    problems: Sequence[str]


def receipts_in(path: Path) -> list[Path]:
    """The receipts that are meant by a path: a file's own, or those of the export in a folder. It blocks.

    Raises:
        ValueError: the folder holds none.
    """
    if not path.is_dir():
        return [path]
    found = [path / name for name in (RECEIPT, PURGE_RECEIPT) if (path / name).exists()]
    if not found:
        raise ValueError(f"{path} holds no finished export: there is no {RECEIPT} in it")
    return found


async def verify(keys: KeyRing, path: Path, *, whole: bool = False) -> Verification:
    """Check the receipt in a file, and the export in whose folder it lies: where there is one, or, if it has to be
    `whole`, in any case.

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
    files = signed.receipt.files if whole or (path.parent / MANIFEST).exists() else {}
    problems = await asyncio.to_thread(file_problems, path.parent, files)
    right = len(files) - len(problems)
    if whole:
        problems += await asyncio.to_thread(_added, path.parent, files)
    return Verification(signed=signed, files=right, problems=problems)


def _added(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Files where the export's are that are none of them."""
    there = [path for place in ("data", "schema") for path in sorted((folder / place).glob("*"))]
    return [f"{path} is not of the export" for path in there if path.relative_to(folder).as_posix() not in files]


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
