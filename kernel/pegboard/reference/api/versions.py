"""Whether a version says what changed, by the rules of Semantic Versioning, and the record of what was released.

The record is a file a release, `docs/reference/sdk-api/<version>.json`: what a plugin that asks for that version
was promised.
"""

from pathlib import Path

import msgspec
from packaging.version import Version

from pegboard.paths import project_root
from pegboard.reference.api.compare import Change, compare
from pegboard.reference.api.model import Api

__all__ = ("latest_release", "overdue", "record_release", "records", "version_problems")


def records() -> Path:
    """Where the record is kept: in the checkout, or else below the current folder."""
    return (project_root() or Path()) / "docs" / "reference" / "sdk-api"


def latest_release(folder: Path) -> Api | None:
    """The API of the newest release that is on record in the folder; None if there is none.

    Raises:
        msgspec.ValidationError, msgspec.DecodeError: a record is damaged.
    """
    files = sorted(folder.glob("*.json"), key=lambda path: Version(path.stem))
    return msgspec.json.decode(files[-1].read_bytes(), type=Api) if files else None


def record_release(folder: Path, api: Api) -> Path:
    """Put an API on record in the folder as the release of its version. Gives the file.

    Raises:
        ValueError: its version does not say what changed, or was released with another API.
    """
    file = folder / f"{api.version}.json"
    problems = version_problems(latest_release(folder), api)
    if problems:
        raise ValueError("\n".join(problems))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(api), indent=1) + b"\n")
    return file


def version_problems(released: Api | None, api: Api) -> list[str]:
    """Why the API can't be that of its version, a sentence each: changes that ask for a higher one, and what should be
    gone by now.
    """
    return [*overdue(api), *(_unannounced(released, api) if released is not None else ())]


def overdue(api: Api) -> list[str]:
    """What is still there in the version that it was to be gone from."""
    told = {
        f"{module}.{name}": symbol.deprecated
        for module, symbols in api.modules.items()
        for name, symbol in symbols.items()
    } | {
        f"{module}.{name}.{member}": one.deprecated
        for module, symbols in api.modules.items()
        for name, symbol in symbols.items()
        for member, one in symbol.members.items()
    }
    return [
        f"{what} was to be gone from version {deprecation.removal} on, and this is {api.version}: remove it"
        for what, deprecation in sorted(told.items())
        if deprecation is not None and Version(api.version) >= Version(deprecation.removal)
    ]


def _unannounced(released: Api, api: Api) -> list[str]:
    old, new = Version(released.version), Version(api.version)
    if new < old:
        return [f"version {released.version} is released, and this is {api.version}: a version never goes down"]
    changes = compare(released, api)
    breaking: list[Change] = [change for change in changes if change.level == "breaking"]
    if breaking and new.major == old.major:
        needed = f"{old.major + 1}.0.0"
        return [
            f"{change}: that breaks plugins written for {released.version}. Keep it, or make the version {needed}"
            for change in breaking
        ]
    if changes and new.release[:2] == old.release[:2]:
        needed = f"{old.major}.{old.minor + 1}.0"
        return [f"{change}: version {released.version} did not have that. Make it {needed}" for change in changes]
    return []
