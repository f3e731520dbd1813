"""How a request is answered meanwhile."""

from pegboard_sdk.errors import Unavailable

__all__ = ("UnderMaintenance",)


class UnderMaintenance(Unavailable):
    """The platform is under maintenance. `detail` is for people; `Retry-After` says when to ask again."""

    code = "maintenance"
