"""What the routes of maintenance mode take and give."""

from datetime import datetime
from typing import Annotated

import msgspec

__all__ = ("Maintenance", "MaintenanceBegin")

MESSAGE = "We are working on the marketplace. It will be back soon."


class MaintenanceBegin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`message` is shown to people as it is. `until` is when it is expected to end: it does not end by itself.
    `holds_jobs`: background jobs wait too.
    """

    message: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] = MESSAGE
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    holds_jobs: bool = False


class Maintenance(msgspec.Struct, frozen=True):
    """Whether the platform is under maintenance, since when, until when probably, and what people are told."""

    on: bool
    since: datetime | None = None
    until: datetime | None = None
    message: str = ""
    holds_jobs: bool = False
