"""What an installed plugin's files hold, as one hash: computed from the files, never from what metadata says of them.

Of a distribution that was installed in the regular way everything counts that it put beside its package, too. Left out
is what differs between two installations of the same thing: byte code, who installed it and from where, and scripts,
which name this machine's Python. Of an editable installation, and of a plugin that comes with Pegboard, the package's
folder counts.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from packaging.utils import canonicalize_name

from pegboard.plugins.discovery import Candidate

__all__ = ("ContentUnknown", "content_hash")

_NOT_CONTENT = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"})
_OWN = "pegboard"


class ContentUnknown(Exception):
    """The files can't be read, or not surely be told; the text says why."""


def content_hash(candidate: Candidate) -> str:
    """`sha256:` and the hash over names and contents of all files. It reads them all.

    Raises:
        ContentUnknown: one can't be read, or the package holds a link to a folder.
    """
    files = dict(_package_files(candidate.path.parent))
    files.update(_other_files(candidate))
    whole = hashlib.sha256()
    for name in sorted(files):
        try:
            with files[name].open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ContentUnknown(f"{files[name]} can't be read: {error.strerror}") from error
        whole.update(f"{digest} {name}\n".encode(errors="surrogateescape"))
    return f"sha256:{whole.hexdigest()}"


def _package_files(package: Path) -> Iterator[tuple[str, Path]]:
    """All files of the folder, whether or not somebody knows of them: whatever lies there can be imported."""

    def refuse(error: OSError) -> None:
        raise ContentUnknown(f"{error.filename} can't be read: {error.strerror}") from error

    for folder, folders, names in os.walk(package, onerror=refuse):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in folders:
            if Path(folder, name).is_symlink():
                raise ContentUnknown(f"{Path(folder, name)} is a link to a folder: put the folder itself there")
        for name in names:
            path = Path(folder, name)
            yield str(PurePosixPath(package.name, path.relative_to(package))), path


def _other_files(candidate: Candidate) -> Iterator[tuple[str, Path]]:
    installed = candidate.installed
    if installed is None or canonicalize_name(installed.metadata["Name"]) == _OWN:
        return
    package = candidate.path.parent
    for file in installed.files or ():
        path = Path(str(installed.locate_file(file)))
        if file.parts[0] in ("..", package.name) or "__pycache__" in file.parts or path.suffix == ".pyc":
            continue
        if file.name in _NOT_CONTENT and file.parent.suffix == ".dist-info":
            continue
        yield str(file), path
