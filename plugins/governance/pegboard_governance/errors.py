"""What governance refuses."""

from pegboard_sdk.errors import Conflict, NotFound

__all__ = ("NoticeNotCurrent", "PurposeExists", "PurposeNotFound")


class PurposeNotFound(NotFound):
    """There is no purpose with this slug."""

    code = "governance.purpose_not_found"


class PurposeExists(Conflict):
    """The slug is taken."""

    code = "governance.purpose_exists"


class NoticeNotCurrent(Conflict):
    """The notice that was agreed to is not the one in force."""

    code = "governance.notice_not_current"
