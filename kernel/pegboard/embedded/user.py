"""The user that the embedded servers run as when Pegboard itself runs as root, which PostgreSQL refuses."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import msgspec

from pegboard.embedded.errors import EmbeddedError

__all__ = ("SERVICE_USER", "ServerUser", "server_user")

SERVICE_USER = "pegboard"
FALLBACKS = ("postgres", "nobody")
"""Where there is no `useradd`. They have a password entry, which initdb insists on."""


class ServerUser(msgspec.Struct, frozen=True):
    """A user other than ours."""

    name: str
    uid: int
    gid: int

    def can_run(self, binary: Path) -> bool:
        """Whether the user reaches and can execute `binary`. Tried, not computed: access lists and mount options count
        too.
        """
        try:
            result = subprocess.run(
                [binary, "--version"],
                cwd="/",
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError:
            return False
        return result.returncode == 0

    def can_enter(self, folder: Path) -> bool:
        """Whether the user can enter `folder`, through all folders above it."""
        command = ["/bin/sh", "-c", 'cd "$0"', folder]
        result = subprocess.run(
            command, cwd="/", user=self.uid, group=self.gid, extra_groups=[], stderr=subprocess.DEVNULL, check=False
        )
        return result.returncode == 0


def server_user(data: Path) -> ServerUser | None:
    """Whom to run a server on `data` as: None for ourselves; as root the owner of existing data, else a service user,
    made when missing.

    Raises:
        EmbeddedError: we are root and there is no user to be had.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        try:
            return _named(pwd.getpwuid(owner))
        except KeyError:
            raise EmbeddedError(
                f"{data} belongs to user id {owner}, who has no account here: chown it to one."
            ) from None
    _create()
    for name in (SERVICE_USER, *FALLBACKS):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return _named(entry)
    raise EmbeddedError(f"PostgreSQL can't run as root and there is no other user: add one named {SERVICE_USER}.")


def _named(entry: pwd.struct_passwd) -> ServerUser:
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create() -> None:
    """Add the service user where it is missing and can be added. Another process may do the same at the same time."""
    try:
        pwd.getpwnam(SERVICE_USER)
    except KeyError:
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd:
            command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
            subprocess.run([*command, "--shell", "/usr/sbin/nologin", SERVICE_USER], capture_output=True, check=False)
