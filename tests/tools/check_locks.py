"""Whether the lock files are what `make lock` would make, as far as that can be known without a network.

Every direct requirement of pyproject.toml is locked at a version that it allows, and so is everything that the locked
packages need in turn (by the metadata of the installed ones); nothing is locked that nobody needs; each entry has
hashes; the locks agree with each other.
"""

import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
_ENTRY = re.compile(r"^(?P<requirement>[A-Za-z0-9][^\\#]*?)\s*\\?$")
_HASH = re.compile(r"^\s+--hash=sha256:[0-9a-f]{64}\s*\\?$")

Lock = dict[str, Requirement]


def read_lock(path: Path, mistakes: list[str]) -> Lock:
    """The locked requirements by canonical name."""
    lock: Lock = {}
    hashes: dict[str, int] = {}
    name = ""
    for line in path.read_text().splitlines():
        if entry := _ENTRY.match(line):
            requirement = Requirement(entry["requirement"])
            name = canonicalize_name(requirement.name)
            lock[name] = requirement
        elif _HASH.match(line):
            hashes[name] = hashes.get(name, 0) + 1
        elif line.strip() and not line.lstrip().startswith("#"):
            mistakes.append(f"{path.name}: not a locked requirement: {line.strip()}")
    mistakes.extend(f"{path.name}: {name} has no hash" for name in lock if not hashes.get(name))
    return lock


def groups(project: dict, name: str) -> Iterator[Requirement]:
    """The requirements of a dependency group, with those that it includes (PEP 735)."""
    for item in project["dependency-groups"][name]:
        if isinstance(item, dict):
            yield from groups(project, item["include-group"])
        else:
            yield Requirement(item)


def applies(requirement: Requirement, extras: Iterable[str] = ("",)) -> bool:
    """Whether the requirement counts on this interpreter, with one of the extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)


def check(name: str, direct: Iterable[Requirement], lock: Lock) -> Iterator[str]:
    """What is wrong with a lock, given what it must bring."""
    reached: defaultdict[str, set[str]] = defaultdict(set)
    waiting = [(requirement, "pyproject.toml") for requirement in direct]
    while waiting:
        requirement, wanted_by = waiting.pop()
        key = canonicalize_name(requirement.name)
        locked = lock.get(key)
        if locked is None:
            yield f"{name}: {requirement} of {wanted_by} is missing"
            continue
        version = next(iter(locked.specifier)).version
        if not requirement.specifier.contains(version, prereleases=True):
            yield f"{name}: {wanted_by} wants {requirement}, and {version} is locked"
        for extra in {"", *requirement.extras} - reached[key]:
            reached[key].add(extra)
            try:
                installed = distribution(key)
            except PackageNotFoundError:
                continue
            if installed.version != version:
                yield f"{name}: {key} {version} is locked, and {installed.version} is installed: run `make install`"
                continue
            needs = map(Requirement, installed.requires or ())
            waiting.extend((need, key) for need in needs if applies(need, {"", extra}))
    for key, locked in lock.items():
        if applies(locked) and key not in reached:
            yield f"{name}: nothing needs {key}"


def main() -> int:
    """Print what is wrong; 1 when something is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = [Requirement(text) for text in project["project"]["dependencies"]]
    mistakes: list[str] = []
    wanted = {
        "requirements.lock": runtime,
        "requirements-dev.lock": [*runtime, *groups(project, "dev")],
        "requirements-build.lock": [*groups(project, "build"), *map(Requirement, project["build-system"]["requires"])],
    }
    locks = {name: read_lock(ROOT / name, mistakes) for name in wanted}
    for name, direct in wanted.items():
        mistakes.extend(check(name, [requirement for requirement in direct if applies(requirement)], locks[name]))
    demo = read_lock(ROOT / "requirements-demo.lock", mistakes)
    for requirement in groups(project, "demo"):
        locked = demo.pop(canonicalize_name(requirement.name), None)
        if locked is None or not requirement.specifier.contains(next(iter(locked.specifier)).version):
            mistakes.append(f"requirements-demo.lock: {requirement} is not locked")
    mistakes.extend(f"requirements-demo.lock: nothing needs {name}" for name in demo)
    everything = locks["requirements-dev.lock"]
    for name in ("requirements.lock", "requirements-build.lock"):
        for key, locked in locks[name].items():
            if key not in everything or everything[key].specifier != locked.specifier:
                mistakes.append(f"{name}: {locked} is not what requirements-dev.lock has")
    for mistake in sorted(set(mistakes)):
        print(mistake)
    if mistakes:
        print("The locks are not up to date: run `make lock`.")
    return bool(mistakes)


if __name__ == "__main__":
    sys.exit(main())
