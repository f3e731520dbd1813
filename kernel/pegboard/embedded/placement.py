"""Where an embedded server's programs and data live.

They stay where they were asked for, unless Pegboard runs as root and the server's user can't get there (say, below
`/root`). Opening folders that somebody closed is not ours to do, so then both live under `/var/lib/pegboard/<id>`, and
a symbolic link shows the way.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from pegboard.embedded.errors import EmbeddedError
from pegboard.embedded.user import ServerUser, server_user

__all__ = ("Place", "Programs", "Say", "find_place", "own_folder", "socket_folder")

Say = Callable[[str], None]
"""Takes one line for the person who watches the start."""

STATE = Path("/var/lib/pegboard")
LONGEST_SOCKET_FOLDER = 80
"""A socket's whole path may have 107 bytes on Linux and 103 on macOS."""
PLAIN = re.compile(r"[\w./-]+", re.ASCII)
"""What servers and client libraries agree on in URLs and lists of folders."""


class Programs(msgspec.Struct, frozen=True):
    """Programs in an installed package. `roots` are the folders that hold them and what they load, side by side in
    site-packages; `probe` is the program to try, below the first root. `version` names the copy.
    """

    name: str
    version: str
    roots: tuple[Path, ...]
    probe: str


class Place(msgspec.Struct, frozen=True):
    """A server's folder, made and ours; the user to run as (None: ourselves); the programs' root."""

    folder: Path
    user: ServerUser | None
    programs: Path


def find_place(asked: Path, programs: Programs, say: Say) -> Place:
    """The place for a server whose folder was asked to be `asked`. In it, `data` is or will be the server user's.

    Raises:
        EmbeddedError: the server's user can't get there.
        OSError: the folder can't be made.
    """
    asked.parent.mkdir(parents=True, exist_ok=True)
    user = server_user(asked / "data")
    if user is None:
        return Place(own_folder(asked, None).resolve(), None, programs.roots[0])
    folder = _folder_for(asked, user, say)
    return Place(folder, user, _programs_for(folder, asked, programs, user, say))


def own_folder(folder: Path, user: ServerUser | None, mode: int = 0o700) -> Path:
    """Make `folder` with `mode` for `user`; one that exists is left as it is."""
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return folder
    folder.chmod(mode)
    if user:
        os.chown(folder, user.uid, user.gid)
    return folder


def socket_folder(place: Place) -> Path:
    """A folder of mode 0700 with a short and plain path, for the server's socket.

    Raises:
        EmbeddedError: somebody else made a folder of that name.
    """
    folder = place.folder / "run"
    if len(str(folder)) > LONGEST_SOCKET_FOLDER or not PLAIN.fullmatch(str(folder)):
        folder = Path(tempfile.gettempdir()) / f"pegboard-{_identity(place.folder)}"
    own_folder(folder, place.user)
    owner = place.user.uid if place.user else os.geteuid()
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) != 0o700:
        raise EmbeddedError(f"{folder} is not a private folder of user id {owner}: remove it and start again.")
    return folder


def _identity(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]


def _state(asked: Path) -> Path:
    """`/var/lib/pegboard/<id>`; the id comes from the path of the data folder that `asked` is in."""
    folder = STATE / _identity(asked.parent)
    own_folder(STATE, None, 0o755)
    return own_folder(folder, None, 0o755)


def _folder_for(asked: Path, user: ServerUser, say: Say) -> Path:
    if asked.exists():
        folder = own_folder(asked, None).resolve()
        if not user.can_enter(folder):
            raise EmbeddedError(
                f"the user {user.name}, who runs the server, can't enter {folder}: let them (chmod o+x) or move it."
            )
        return folder
    if asked.is_symlink():
        raise EmbeddedError(f"{asked} points to {asked.readlink()}, which is gone: restore it, or remove the link.")
    own_folder(asked, None, 0o755)
    if user.can_enter(asked):
        return asked.resolve()

    asked.rmdir()
    folder = _state(asked) / asked.name
    if folder.exists():  # of an earlier data folder that had the same path and was removed
        aside = folder.with_name(f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S')}")
        folder.rename(aside)
        say(f"data of an earlier {asked.parent} were in {folder}; they are now in {aside}")
    own_folder(folder, None, 0o755)
    asked.symlink_to(folder)
    say(f"{asked.name}: the service user {user.name} can't enter {asked.parent}, so the data are in {folder}")
    return folder


def _programs_for(folder: Path, asked: Path, programs: Programs, user: ServerUser, say: Say) -> Path:
    first = programs.roots[0]
    if user.can_run(first / programs.probe):
        return first
    parent = folder.parent if folder.parent.parent == STATE else _state(asked)
    copy = parent / "programs" / f"{programs.name}-{programs.version}"
    if not copy.exists():
        own_folder(copy.parent, None, 0o755)
        with tempfile.TemporaryDirectory(dir=copy.parent) as scratch:
            target = Path(scratch) / copy.name
            target.mkdir()
            for root in programs.roots:
                shutil.copytree(root, target / root.name, ignore=shutil.ignore_patterns("include", "*.py", "*.pyc"))
            for path in (target, *target.rglob("*")):
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            target.rename(copy)
        say(f"{asked.name}: the service user {user.name} can't run {first}, so it runs a copy in {copy}")
    if not user.can_run(copy / first.name / programs.probe):
        raise EmbeddedError(
            f"the user {user.name} can't run {copy / first.name / programs.probe}: see its permissions."
        )
    return copy / first.name
