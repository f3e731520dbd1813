"""What a plan says."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from pegboard.plugins.planning.action import Action
from pegboard.plugins.planning.contract import Operation

__all__ = ("Basis", "Change", "Delta", "KeptTable", "Operations", "ParkedJobs", "Plan", "PlanContent", "References")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one plugin. `because`: the plugin on whose account it does, None where somebody asked for it."""

    plugin: str
    change: Literal["enable", "disable", "upgrade", "uninstall"]
    version_from: str | None
    version_to: str | None
    because: str | None


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """What there will be and is not, and what there is and will not be; sorted."""

    gained: list[str]
    lost: list[str]


class Operations(msgspec.Struct, frozen=True, kw_only=True):
    """Operations of the API that clients gain and lose."""

    gained: list[Operation]
    lost: list[Operation]


class ParkedJobs(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that wait, of a kind that nobody runs afterwards: they are parked until the plugin is back."""

    plugin: str
    job: str
    count: int


class KeptTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table of a plugin that goes. `rows` is PostgreSQL's estimate where `estimated`; `bytes` with its indexes.

    `fate`: kept (nobody reads it until the plugin is back), exported (and kept), or purged.
    """

    plugin: str
    table: str
    rows: int
    estimated: bool
    bytes: int
    fate: Literal["kept", "exported", "purged"]


class References(msgspec.Struct, frozen=True, kw_only=True):
    """References to records of a plugin that goes, in another plugin's column. `at_least`: there are more."""

    plugin: str
    column: str
    to: str
    count: int
    at_least: bool


class PlanContent(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that would change.

    `unheard`: listeners that stay and would hear an event no more. `unserved`: who stays and would lose a service that
    it uses. `misdeclared`: references that can't be counted, and why: the mistake of the plugin that is named first.
    `breaking`: what an upgrade takes away that others may hang on. `problems`: why it can't be applied. `restart`: why
    and how the processes have to be restarted, None where they don't.
    """

    changes: list[Change]
    operations: Operations
    permissions: Delta
    grants: Delta
    events: Delta
    listeners: Delta
    unheard: list[str]
    jobs: Delta
    schedules: Delta
    parked: list[ParkedJobs]
    services: Delta
    extensions: Delta
    unserved: list[str]
    capabilities: Delta
    migrations: list[str]
    tables: list[str]
    data: list[KeptTable]
    references: list[References]
    misdeclared: list[str] = []
    settings_missing: list[str]
    breaking: list[str]
    problems: list[str]
    restart: str | None


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan was judged on. `distributions`: plugin → version and hash of the installed files. `settings`: a hash.

    `running`: plugin → the version that processes run. `migrations`: those on record, as a hash.
    """

    revision: int | None
    active: list[str]
    file: str
    settings: str
    distributions: dict[str, str]
    running: dict[str, str]
    quarantined: list[str]
    migrations: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan. `fingerprint` is over what it says (but counts, which change all the time) and what it was judged on.

    `revision` is what came of it, once it was applied.
    """

    id: UUID
    state: Literal["open", "applied", "expired"]
    action: Action
    content: PlanContent
    fingerprint: str
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime
    applied_at: datetime | None
    revision: int | None
