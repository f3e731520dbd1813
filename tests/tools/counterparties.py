"""Installs what the tests talk to and npm has: `tests/counterparties/package-lock.json`, each package's hash checked.

    python3 tests/tools/counterparties.py

Without a Node that can run them it says so and lets things go on: the tests that need them are skipped then. It imports
only the standard library.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "counterparties"
STAMP = FOLDER / "node_modules" / ".pegboard"
OLDEST_NODE = (20, 15)
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")


def fingerprint() -> str:
    """What is installed depends on these."""
    digest = hashlib.sha256(str(FOLDER).encode())
    for name in ("package.json", "package-lock.json"):
        digest.update((FOLDER / name).read_bytes())
    return digest.hexdigest()


def missing() -> str:
    """What keeps the programs from being installed; empty if nothing does."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    shown = subprocess.run(("node", "--version"), capture_output=True, text=True).stdout.strip()
    found = re.match(r"v(\d+)\.(\d+)", shown)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_NODE:
        return "they need Node {}.{} and this is {}".format(*OLDEST_NODE, shown or "none that runs")
    return ""


def main() -> int:
    """Bring `node_modules` up to date; one process at a time."""
    with (FOLDER / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = fingerprint()
        if STAMP.is_file() and STAMP.read_text() == wanted:
            return 0
        reason = missing()
        if reason:
            print(f"pegboard: {reason}: tests that talk to programs from npm will be skipped", flush=True)
            return 0
        print("pegboard: installing tests/counterparties/package-lock.json", flush=True)
        status = subprocess.run(
            (*INSTALL, "--prefix", str(FOLDER)), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ).returncode
        if status:
            print(f"pegboard: npm failed with status {status}", file=sys.stderr)
            return 2
        STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
