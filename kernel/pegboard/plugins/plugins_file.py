"""`plugins.toml` as the CLI and the administration write it: one switch changed, all else as people wrote it."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomlkit
import tomlkit.exceptions

from pegboard.plugins.errors import PluginsFileUnwritable

__all__ = ("file_hash", "file_key", "hash_of", "set_enabled", "with_enabled")


def file_hash(path: Path) -> str:
    """The hash of what the file holds now.

    Raises:
        OSError: it can't be read.
    """
    return hash_of(path.read_bytes())


def file_key(path: Path) -> str:
    """What a machine's file is known by, however it was named."""
    return str(path.resolve())


def hash_of(content: bytes) -> str:
    """The hash by which a file's content is known."""
    return hashlib.sha256(content).hexdigest()


def set_enabled(path: Path, name: str, enabled: bool) -> str:
    """Turn a plugin on or off in the file, in one step that a crash can't leave half done; gives the new content's
    hash.

    Comments, order and everything else stay. Writers wait for each other. It blocks: call it in a thread.

    Raises:
        PluginsFileUnwritable: it can't be read, understood or written.
    """
    try:
        # A link stays one: what it points to is replaced.
        target = path.resolve(strict=True)
        with _locked(target.parent):
            before = target.read_bytes()
            after = with_enabled(before.decode(), name, enabled).encode()
            if after != before:
                _replace(target, after)
            return hash_of(after)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PluginsFileUnwritable(
            f"{path} can't be written ({reason}): make it and its folder writable to us, or edit it yourself."
        ) from error
    except (ValueError, tomlkit.exceptions.TOMLKitError) as error:
        raise PluginsFileUnwritable(f"{path} can't be changed ({error}): edit it yourself.") from error


def with_enabled(text: str, name: str, enabled: bool) -> str:
    """The file's text with `[plugins.<name>] enabled` set.

    Raises:
        ValueError: the text is written in a way in which the switch can't be set without changing something else.
    """
    before = tomllib.loads(text)
    wanted = _expected(before, name, enabled)
    if before == wanted:
        return text
    document = tomlkit.parse(text)
    plugins: Any = document.get("plugins")
    if plugins is not None and name in plugins:
        plugins[name]["enabled"] = enabled
        after = tomlkit.dumps(document)
    else:
        # A table of its own at the end: where it goes between others is not for a program to guess.
        after = f"{text.rstrip()}\n\n[plugins.{name}]\nenabled = {str(enabled).lower()}\n".lstrip("\n")
    if tomllib.loads(after) != wanted:
        raise ValueError(f"[plugins.{name}] is written in an unusual way")
    return after


def _expected(document: dict[str, Any], name: str, enabled: bool) -> dict[str, Any]:
    plugins = document.get("plugins", {})
    if not isinstance(plugins, dict) or not isinstance(plugins.get(name, {}), dict):
        raise ValueError(f"plugins.{name} is not a table")
    return {**document, "plugins": {**plugins, name: {**plugins.get(name, {}), "enabled": enabled}}}


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other writers out.

    The folder is locked, since the file itself is replaced and a lock file would stay behind.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(target: Path, content: bytes) -> None:
    """Put `content` in the file's place with its mode and owner; durable when this returns."""
    status = target.stat()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
