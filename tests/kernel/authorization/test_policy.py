"""What a process decides from what it keeps of a tenant, without asking anybody."""

import time

from pegboard.authorization.policy import NEVER, Edit, Override, Rule, TenantPolicy
from pegboard.plugins.registry import Registry
from pegboard.runtime import Runtime
from pegboard_sdk.ids import new_id

from tests.support.platform import TestPlatform

REGISTRY = Registry(
    role_permissions={
        "member": frozenset({"a:b.read"}),
        "administrator": frozenset({"a:b.read", "a:b.write"}),
        "operator": frozenset({"kernel:x.run"}),
    }
)


def permissions(policy: TenantPolicy, *roles: str, registry: Registry = REGISTRY) -> frozenset[str]:
    return policy.permissions_of(frozenset(roles), registry)


def test_edits_change_the_defaults() -> None:
    policy = TenantPolicy(
        1, roles=["clerk"], edits=[Edit("member", "a:b.read", False), Edit("clerk", "a:b.write", True)]
    )
    assert permissions(policy, "member") == frozenset()
    assert permissions(policy, "member", "clerk") == {"a:b.write"}
    assert permissions(policy, "administrator") == {"a:b.read", "a:b.write"}
    assert permissions(policy, "nobody") == frozenset()


def test_each_generation_has_its_own_defaults() -> None:
    policy = TenantPolicy(1, edits=[Edit("member", "a:b.write", True)])
    other = Registry(role_permissions={"member": frozenset({"c:d.read"})})
    for registry, expected in ((REGISTRY, {"a:b.read", "a:b.write"}), (other, {"c:d.read", "a:b.write"})) * 2:
        assert permissions(policy, "member", registry=registry) == expected


def test_no_row_gives_or_takes_what_is_the_platforms() -> None:
    """The database refuses such rows; were there one all the same, it would count for nothing."""
    account = new_id()
    policy = TenantPolicy(
        1,
        edits=[
            Edit("member", "kernel:x.run", True),
            Edit("operator", "kernel:x.run", False),
            Edit("operator", "a:b.read", True),
        ],
        overrides=[
            Override(account, None, "kernel:x.run", NEVER),
            Override(account, "operator", None, NEVER),
        ],
    )
    assert permissions(policy, "member") == {"a:b.read"}
    assert permissions(policy, "operator") == {"kernel:x.run"}
    assert policy.raised(account, 0) == (frozenset(), frozenset(), NEVER)


def test_rights_end_at_their_time() -> None:
    account = new_id()
    policy = TenantPolicy(
        1,
        overrides=[
            Override(account, None, "a:b.write", 10),
            Override(account, "administrator", None, 20),
            Override(new_id(), None, "a:b.write", 30),
        ],
    )
    assert policy.raised(account, 9) == ({"administrator"}, {"a:b.write"}, 10)
    assert policy.raised(account, 10) == ({"administrator"}, frozenset(), 20)
    assert policy.raised(account, 20) == (frozenset(), frozenset(), NEVER)
    assert policy.holds(account, frozenset({"member"}), REGISTRY, 19) == {
        "member",
        "administrator",
        "a:b.read",
        "a:b.write",
    }


def test_a_change_is_judged_on_a_copy() -> None:
    account = new_id()
    rule = Rule(new_id(), None, "a", "b", "why")
    policy = TenantPolicy(3, roles=["clerk"], edits=[Edit("clerk", "a:b.write", True)], rules=[rule])
    other = policy.but(overrides=[Override(account, "clerk", None, NEVER)], rules=[rule])
    assert (other.version, other.roles, len(other.rules)) == (3, {"clerk"}, 2)
    assert "a:b.write" in other.holds(account, frozenset(), REGISTRY, 0)
    assert policy.holds(account, frozenset(), REGISTRY, 0) == frozenset()
    assert permissions(policy.but(edits=[]), "clerk") == frozenset()


async def test_a_process_that_starts_knows_what_was_decided(platform: TestPlatform, other_process: Runtime) -> None:
    tenant = await platform.tenant()
    async with platform.work(platform.system(tenant)) as work:
        await work.execute(
            "INSERT INTO kernel_authorization_versions (tenant_id, changed_xid) VALUES ($1, pg_current_xact_id())",
            tenant,
        )
        await work.execute(
            "INSERT INTO kernel_permission_edits (id, tenant_id, role, permission, granted, reason)"
            " VALUES (gen_random_uuid(), $1, 'member', 'a:b.write', true, '')",
            tenant,
        )
    await other_process.authenticator.start()
    policy = other_process.authenticator.policies.of(tenant)
    assert permissions(policy, "member") == {"a:b.read", "a:b.write"}
    assert time.monotonic() - other_process.authenticator.revocations.as_of < 5
