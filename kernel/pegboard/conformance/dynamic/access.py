"""Who may use a plugin's routes."""

from pegboard.conformance.dynamic.exercise import endpoints, request
from pegboard.conformance.dynamic.payloads import Unbuildable
from pegboard.conformance.subject import Subject

__all__ = ("check_permissions_enforced", "check_permissions_used")


async def check_permissions_enforced(subject: Subject) -> list[str]:
    """Routes with a permission refuse whoever lacks it: who is not logged in (401) and a mere member (403).

    A permission to change something is not given to everybody.
    """
    done = await subject.exercised()
    nobody = await subject.kernel.account(done.tenant, roles=())
    everybody = subject.kernel.registry.permissions_of(frozenset({"anonymous"}))
    anonymous = subject.kernel.anonymous(done.tenant)
    found: list[str] = []
    for endpoint in endpoints(subject):
        permission = endpoint.route.permission
        if permission is None:
            continue
        if permission in everybody:
            if not endpoint.route.safe:
                found.append(f"{endpoint} changes something, and the role anonymous has its permission {permission}")
            continue
        for who, client, wanted in (("not logged in", anonymous, 401), ("who is a mere member", nobody.client, 403)):
            if wanted == 403 and nobody.principal.may(permission):
                continue
            try:
                answer = await request(client, endpoint, done.ids)
            except Unbuildable:
                continue
            if answer is None or answer.status_code != wanted:
                status = "a stream" if answer is None else answer.status_code
                found.append(f"{endpoint} gives {status} to somebody {who}, not {wanted}")
    return found


async def check_permissions_used(subject: Subject) -> list[str]:
    """Each permission that the plugin defines opens a route or belongs to a role."""
    routes = {endpoint.route.permission for endpoint in endpoints(subject)}
    granted = {name for grant in subject.plugin.roles for name in grant.permissions}
    return [
        f"nothing uses the permission {name}: no route needs it and no role has it"
        for name in sorted(set(subject.manifest.permissions) - routes - granted)
    ]
