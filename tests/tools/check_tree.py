"""Refuses files that would tell of somebody's machine, or of where somebody downloads from.

python tests/tools/check_tree.py FILE…
"""

import re
import sys
from pathlib import Path

LARGEST = 1_000_000
SCANNED_APART = re.compile(r"(^|/)tests/tools/check_tree\.py$")
RULES = {
    "a path of one machine": re.compile(r"(?<![\w.~/-])/(?:home|root|Users|work|mnt|workspace)/[\w.-]+"),
    "a download address": re.compile(
        r"files\.pythonhosted\.org|pypi\.org/simple|registry\.npmjs\.org"
        r"|(?:^|\s)--(?:extra-)?index-url[ =]|(?:^|\s)--find-links[ =]"
    ),
    "a merge conflict": re.compile(r"^(?:<{7}|>{7}) "),
}


def complaints(path: Path) -> list[str]:
    """What is wrong with one file, as `file:line: reason`."""
    if not path.is_file():  # git still knows a file that was just deleted
        return []
    content = path.read_bytes()
    found = [f"{path}: {len(content)} bytes: too large for the repository"] if len(content) > LARGEST else []
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return found
    if SCANNED_APART.search(path.as_posix()):
        return found
    for number, line in enumerate(text.splitlines(), 1):
        found.extend(f"{path}:{number}: holds {name}" for name, pattern in RULES.items() if pattern.search(line))
    return found


def main() -> int:
    """Print each complaint; 1 when there is one."""
    found = [complaint for name in sys.argv[1:] for complaint in complaints(Path(name))]
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
