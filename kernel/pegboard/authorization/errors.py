"""What authorization refuses."""

from collections.abc import Iterable

from pegboard_sdk.errors import Conflict, Forbidden

__all__ = (
    "ApprovalClosed",
    "DutiesSegregated",
    "NotHeld",
    "OwnRequest",
    "PlatformsOwn",
    "RoleInUse",
    "RoleTaken",
    "WayBackIn",
)

_SHOWN = 5


class PlatformsOwn(Forbidden):
    """`kernel:*` permissions and the role `operator` are the platform's: no tenant gives or takes them."""

    code = "authorization.platforms_own"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is the platform operator's: no marketplace gives it or takes it away.")


class NotHeld(Forbidden):
    """Nobody may give others what they don't hold themselves, or act on the account of who holds it."""

    code = "authorization.not_held"

    def __init__(self, permissions: Iterable[str], *, giving: bool = True) -> None:
        missing = sorted(permissions)
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        bound = "give others what your own roles grant" if giving else "do this to who holds no more than you"
        super().__init__(
            f"You can only {bound}, and your roles don't grant"
            f" {', '.join(missing[:_SHOWN])}{more}: ask somebody who holds it."
        )


class WayBackIn(Conflict):
    """Administrators must be able to undo what they do."""

    code = "authorization.way_back_in"

    def __init__(self, permission: str) -> None:
        super().__init__(
            f"The role administrator keeps {permission}: without it nobody could change anything back."
            " Make a role of your own for who should have less."
        )


class DutiesSegregated(Conflict):
    """A rule keeps these duties apart. `detail` says which rule, and why."""

    code = "authorization.duties_segregated"


class RoleTaken(Conflict):
    """There is a role of this name."""

    code = "authorization.role_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a role {name} already: choose another name.")


class RoleInUse(Conflict):
    """Somebody has the role."""

    code = "authorization.role_in_use"

    def __init__(self, name: str, accounts: int) -> None:
        super().__init__(f"{accounts} account(s) have the role {name}: take it from them first.")


class OwnRequest(Forbidden):
    """Four eyes are two people's."""

    code = "authorization.own_request"

    def __init__(self) -> None:
        super().__init__("You asked for this: somebody else has to decide it. You may withdraw it.")


class ApprovalClosed(Conflict):
    """The request is not open any more."""

    code = "authorization.approval_closed"
