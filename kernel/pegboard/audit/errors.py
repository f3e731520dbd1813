"""What the audit trail's administration refuses."""

from pegboard_sdk.errors import Conflict, NotFound

__all__ = ("NothingSealed", "TrailUnsound")


class TrailUnsound(Conflict):
    """The audit trail was tampered with, so nothing is signed that says otherwise."""

    code = "audit.trail_unsound"


class NothingSealed(NotFound):
    """No entry is sealed yet: the scheduler seals them every second."""

    code = "audit.nothing_sealed"

    def __init__(self) -> None:
        super().__init__("No audit entry is sealed yet. Is a scheduler running?")
