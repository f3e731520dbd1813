"""`plugins.toml` as the CLI and the administration write it: a few keys changed, all else as people wrote it."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import tomlkit
import tomlkit.exceptions

from pegboard.plugins.errors import PluginsFileUnwritable

__all__ = ("FileEdit", "edit_file", "file_hash", "file_key", "hash_of", "with_enabled", "with_keys")


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


class FileEdit:
    """A change of the file that is made when everything else is sure, and taken back when that fails.

    From opening to closing other writers wait. Everything blocks: call it in a thread.

        with FileEdit(path, change) as edit:
            ...             # `edit.hash` is what the file will be known by
            edit.write()
            ...             # and if this fails: edit.put_back()

    Raises:
        PluginsFileUnwritable: the file can't be read, understood or written.
    """

    def __init__(self, path: Path, change: Callable[[str], str]) -> None:
        self._path = path
        self._lock = contextlib.ExitStack()
        self._written = False
        try:
            with _refusing(path):
                # A link stays one: what it points to is replaced.
                self._target = path.resolve(strict=True)
                self._lock.enter_context(_locked(self._target.parent))
                self._before = self._target.read_bytes()
                self._after = change(self._before.decode()).encode()
        except BaseException:  # an interrupt too must not leave the file locked. It goes on from here
            self._lock.close()
            raise
        self.hash_before = hash_of(self._before)
        self.hash = hash_of(self._after)

    def write(self) -> None:
        """Make the change, in one step that a crash can't leave half done."""
        if self._after != self._before:
            with _refusing(self._path):
                _replace(self._target, self._after)
            self._written = True

    def put_back(self) -> None:
        """Undo what `write` did; nothing, if somebody without a lock has edited the file since."""
        if self._written:
            with _refusing(self._path):
                if self._target.read_bytes() == self._after:
                    _replace(self._target, self._before)
            self._written = False

    def close(self) -> None:
        """Let others write."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def edit_file(path: Path, change: Callable[[str], str]) -> str:
    """Change the file in one step; gives the new content's hash. Writers wait for each other. It blocks.

    Raises:
        PluginsFileUnwritable: see `FileEdit`.
    """
    with FileEdit(path, change) as edit:
        edit.write()
        return edit.hash


def with_enabled(text: str, switches: Mapping[str, bool]) -> str:
    """The file's text with `[plugins.<name>] enabled` set for each name.

    Raises:
        ValueError: see `with_keys`.
    """
    for name in sorted(switches):
        text = with_keys(text, name, {"enabled": switches[name]})
    return text


def with_keys(text: str, name: str, keys: Mapping[str, Any]) -> str:
    """The file's text with keys of `[plugins.<name>]` set, or, where the value is None, taken away.

    Comments, order and everything else stay.

    Raises:
        ValueError: the text is written in a way in which they can't be set without changing something else.
    """
    before = tomllib.loads(text)
    wanted = _expected(before, name, keys)
    if before == wanted:
        return text
    document = tomlkit.parse(text)
    plugins: Any = document.get("plugins")
    if plugins is not None and name in plugins:
        table = plugins[name]
        for key, value in keys.items():
            if value is None:
                table.pop(key, None)
            elif isinstance(value, bool) and key in table:
                table[key] = value
            else:
                table.pop(key, None)
                table.append(key, _item(value))
        after = tomlkit.dumps(document)
    else:
        # A table of its own at the end: where it goes between others is not for a program to guess.
        lines = "".join(
            f"{key} = {tomlkit.item(_item(value)).as_string()}\n" for key, value in keys.items() if value is not None
        )
        after = f"{text.rstrip()}\n\n[plugins.{name}]\n{lines}".lstrip("\n")
    if tomllib.loads(after) != wanted:
        raise ValueError(f"[plugins.{name}] is written in an unusual way")
    return after


def _item(value: Any) -> Any:
    """A list of tables goes one to a line."""
    if not isinstance(value, list):
        return value
    array = tomlkit.array()
    for one in value:
        table = tomlkit.inline_table()
        table.update(one)
        array.append(table)
    return array.multiline(True)


def _expected(document: dict[str, Any], name: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    plugins = document.get("plugins", {})
    if not isinstance(plugins, dict) or not isinstance(plugins.get(name, {}), dict):
        raise ValueError(f"plugins.{name} is not a table")
    table = {**plugins.get(name, {}), **keys}
    return {**document, "plugins": {**plugins, name: {key: value for key, value in table.items() if value is not None}}}


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise PluginsFileUnwritable(
            f"{path} can't be written ({reason}): make it and its folder writable to us, or edit it yourself."
        ) from error
    except (ValueError, tomlkit.exceptions.TOMLKitError) as error:
        raise PluginsFileUnwritable(f"{path} can't be changed ({error}): edit it yourself.") from error


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
    except BaseException:  # an interrupt too must not leave a file behind. It goes on from here
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
