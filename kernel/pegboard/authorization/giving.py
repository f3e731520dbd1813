"""Nobody gives others what they don't hold themselves: else who may change roles may do everything. Nor does anybody
keep out who holds more: else who may help people rules their administrators.

What counts is what somebody's own roles grant: not rights that they have for a while, which would outlive their end,
and no more than the credential in use carries.
"""

from typing import TYPE_CHECKING

from pegboard.authorization.errors import NotHeld
from pegboard.authorization.policy import TenantPolicy

if TYPE_CHECKING:
    from pegboard.work import Work

__all__ = ("require_held", "require_may_act_on", "require_may_give_roles")

_ROLES = "SELECT role FROM kernel_role_grants WHERE tenant_id = $1 AND account_id = $2"


async def require_held(
    work: "Work", policy: TenantPolicy, permissions: frozenset[str], *, by_default: frozenset[str] = frozenset()
) -> None:
    """Refuse to give `permissions` where the principal's own roles don't grant them. Of `by_default` it is enough that
    the plugins' defaults grant them to one of the roles: so what somebody withdrew from their own role can be undone.
    It binds accounts: what the platform does by itself was decided elsewhere.

    Raises:
        NotHeld: they lack some; the error names them.
    """
    if work.principal.kind != "account":
        return
    roles = await _own_roles(work)
    held = policy.permissions_of(roles, work.registry) & work.principal.permissions
    missing = (permissions - held) | (by_default - held - work.registry.permissions_of(roles))
    if missing:
        raise NotHeld(missing)


async def require_may_give_roles(work: "Work", policy: TenantPolicy, roles: frozenset[str]) -> None:
    """Refuse to give `roles` that grant what neither the principal's own roles do nor the plugins' defaults for them.

    Raises:
        NotHeld: they grant more; the error names what.
    """
    await require_held(work, policy, frozenset(), by_default=policy.permissions_of(roles, work.registry))


async def require_may_act_on(work: "Work", policy: TenantPolicy, roles: frozenset[str]) -> None:
    """Refuse to disable, log out or take the factors from an account with `roles` where they grant what neither the
    principal's own roles do nor the plugins' defaults for them. The scopes of the credential in use don't count: they
    bound what it does, and nothing is given. It binds accounts, as `require_held` does.

    Raises:
        NotHeld: the account holds more; the error names what.
    """
    if work.principal.kind != "account":
        return
    own = await _own_roles(work)
    held = policy.permissions_of(own, work.registry) | work.registry.permissions_of(own)
    if more := policy.permissions_of(roles, work.registry) - held:
        raise NotHeld(more, giving=False)


async def _own_roles(work: "Work") -> frozenset[str]:
    rows = await work.fetch(_ROLES, work.tenant_id, work.principal.account_id)
    return frozenset(row["role"] for row in rows) | {"anonymous"}
