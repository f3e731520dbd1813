"""What a plan is judged on, and what has changed of it since."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from pegboard.config.model import Config
from pegboard.plugins.content import ContentUnknown, content_hash
from pegboard.plugins.discovery import Discovery
from pegboard.plugins.planning.action import Action
from pegboard.plugins.planning.content import Basis, PlanContent
from pegboard.plugins.plugins_file import file_hash
from pegboard.plugins.revisions import Revision

__all__ = ("changes_since", "fingerprint", "installed_hashes", "read_basis", "settings_hash")


def read_basis(
    config: Config, found: Discovery, wanted: Revision | None, active: frozenset[str], running: Mapping[str, str],
    quarantined: Collection[str], migrations: str,
) -> Basis:  # fmt: skip
    """The basis as everything is now. It reads all installed plugins' files: call it in a thread."""
    return Basis(
        revision=None if wanted is None else wanted.number,
        active=sorted(active),
        file=file_hash(Path(config.path)),
        settings=settings_hash(config),
        distributions=installed_hashes(found),
        running=dict(sorted(running.items())),
        quarantined=sorted(quarantined),
        migrations=migrations,
    )


def installed_hashes(found: Discovery) -> dict[str, str]:
    """Plugin → version and hash of its files."""
    hashes = {name: f"broken {reason}" for name, reason in found.broken.items()}
    for name, candidate in found.candidates.items():
        try:
            content = content_hash(candidate)
        except ContentUnknown as error:
            content = f"unknown ({error})"
        hashes[name] = f"{candidate.manifest.version} {content}"
    return dict(sorted(hashes.items()))


def settings_hash(config: Config) -> str:
    """Over what file and environment say of plugins. A hash: settings may be secret."""
    whole = hashlib.sha256()
    for name, entry in sorted(config.plugins.items()):
        environment = {field: secret.reveal() for field, secret in sorted(entry.environment.items())}
        said = (name, entry.enabled, entry.pin, [msgspec.structs.astuple(block) for block in entry.blocked])
        whole.update(repr((said, entry.settings, environment)).encode())
    return whole.hexdigest()


def fingerprint(action: Action, content: PlanContent, basis: Basis) -> str:
    """Over everything but counts and sizes, which change all the time and change nothing about the plan."""
    steady = msgspec.structs.replace(content, parked=[], data=[], references=[], misdeclared=[])
    return hashlib.sha256(msgspec.json.encode((action, steady, basis), order="sorted")).hexdigest()


def changes_since(then: Basis, now: Basis) -> list[str]:
    """What is different, a sentence each; empty where nothing is."""
    changed: list[str] = []
    if then.revision != now.revision or then.active != now.active:
        changed.append(f"the wanted plugins are those of revision {now.revision} now (it was {then.revision})")
    if then.file != now.file:
        changed.append("plugins.toml was edited")
    elif then.settings != now.settings:
        changed.append("the environment says otherwise of plugins")
    for name in sorted(then.distributions.keys() | now.distributions.keys()):
        old, new = then.distributions.get(name), now.distributions.get(name)
        if old == new:
            continue
        was, is_now = (None if one is None else one.partition(" ")[0] for one in (old, new))
        if was is None or is_now is None:
            changed.append(f"{name} was {'installed' if was is None else 'uninstalled'}")
        elif was != is_now:
            changed.append(f"{name} {is_now} is installed now (it was {was})")
        else:
            changed.append(f"the installed files of {name} {is_now} have changed")
    if then.running != now.running:
        changed.append("processes run other versions now")
    if then.quarantined != now.quarantined:
        changed.append("plugins were put into quarantine or let out")
    if then.migrations != now.migrations:
        changed.append("migrations were run")
    return changed
