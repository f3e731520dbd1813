"""Whatever is done to the trail by somebody who may do everything in the database is found, and the row is named."""

from typing import Any
from uuid import UUID

import pytest
from pegboard.audit.chain import AuditHead, SealKeys
from pegboard.audit.sealer import Sealer
from pegboard.vault.vault import Vault
from pegboard_sdk.ids import new_id

from tests.kernel.audit.conftest import add_entries, new_sealer, tamper, verified
from tests.support.platform import TestPlatform

LENGTH = 5
MIDDLE = 3

ENTRY_CHANGES = (
    "id = kernel_one_off(id)",
    "tenant_id = kernel_one_off(tenant_id)",
    "occurred_at = occurred_at + interval '1 microsecond'",
    "actor_kind = 'anonymous'",
    "actor_id = kernel_one_off(actor_id)",
    "actor_id = NULL",
    "session_id = kernel_one_off(session_id)",
    "session_id = NULL",
    "action = 'Hello:greeting.edit'",
    "object_type = 'greetings'",
    "object_type = ''",
    "object_id = object_id || ' '",
    "object_id = NULL",
    "before = '{\"n\": 2}'",
    "before = NULL",
    "before = 'null'",
    "after = '{\"n\": 1.50}'",
    "outcome = 'failed'",
    "reason = ''",
    "request_id = request_id || '0'",
    "xid = (xid::text::bigint + 1)::text::xid8",
)
SEAL_CHANGES = (
    "tenant_id = kernel_one_off(tenant_id)",
    "number = 1000",
    "entry_id = kernel_one_off(entry_id)",
    "hash = set_byte(hash, 31, get_byte(hash, 31) # 1)",
    "mac = set_byte(mac, 0, get_byte(mac, 0) # 128)",
    "key_id = translate(left(key_id, 1), '0123456789abcdef', '123456789abcdef0') || substr(key_id, 2)",
    "sealed_at = sealed_at + interval '1 microsecond'",
)
HEAD_CHANGES = (
    "tenant_id = kernel_one_off(tenant_id)",
    "number = number + 1",
    "number = number - 1",
    "hash = set_byte(hash, 0, get_byte(hash, 0) # 1)",
    "mac = set_byte(mac, 31, get_byte(mac, 31) # 1)",
    "key_id = translate(left(key_id, 1), '0123456789abcdef', '123456789abcdef0') || substr(key_id, 2)",
    "signed_at = signed_at + interval '1 microsecond'",
    "signature = set_byte(signature, 63, get_byte(signature, 63) # 1)",
)


@pytest.fixture
async def sealed(platform: TestPlatform, tenant: UUID, sealer: Sealer, superuser: Any) -> list[str]:
    """The ids of a sound trail's entries, in the order of the chain."""
    await superuser.execute(
        "CREATE OR REPLACE FUNCTION pg_temp.one_off(id uuid) RETURNS uuid LANGUAGE sql AS"
        " $$ SELECT (substr(id::text, 1, 35) || translate(substr(id::text, 36),"
        " '0123456789abcdef', '123456789abcdef0')"  # pragma: allowlist secret
        ")::uuid $$"
    )
    await add_entries(platform, tenant, LENGTH)
    await sealer.seal()
    assert (await verified(platform, tenant)).sound
    rows = await superuser.fetch(
        "SELECT entry_id::text FROM kernel_audit_seals WHERE tenant_id = $1 ORDER BY number", tenant
    )
    return [row["entry_id"] for row in rows]


def change(text: str) -> str:
    return text.replace("kernel_one_off", "pg_temp.one_off")


def names(change: str) -> str:
    return change.partition(" =")[0]


async def columns(superuser: Any, table: str) -> set[str]:
    rows = await superuser.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped", table
    )
    return {row["attname"] for row in rows}


async def test_every_column_is_tried(superuser: Any) -> None:
    assert await columns(superuser, "kernel_audit_entries") == set(map(names, ENTRY_CHANGES))
    assert await columns(superuser, "kernel_audit_seals") == set(map(names, SEAL_CHANGES))
    assert await columns(superuser, "kernel_audit_heads") == set(map(names, HEAD_CHANGES))


@pytest.mark.parametrize("number", [1, MIDDLE, LENGTH])
@pytest.mark.parametrize("changed", ENTRY_CHANGES)
async def test_a_change_in_any_column_of_an_entry(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str], changed: str, number: int
) -> None:
    entry = sealed[number - 1]
    await tamper(superuser, [(f"UPDATE kernel_audit_entries SET {change(changed)} WHERE id = $1::text::uuid", entry)])
    report = await verified(platform, tenant)
    first = report.findings[0]
    moved = changed.startswith(("id ", "tenant_id "))
    assert (first.kind, first.number, first.entry_id) == ("removed" if moved else "changed", number, entry)
    # The rest is still told apart as sound; what was moved away from its seal is at most waiting to be sealed.
    assert [finding.kind for finding in report.findings[1:]] in ([], ["inserted"])
    assert not report.sound


@pytest.mark.parametrize("number", [1, MIDDLE, LENGTH])
@pytest.mark.parametrize("changed", SEAL_CHANGES)
async def test_a_change_in_any_column_of_a_seal(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str], changed: str, number: int
) -> None:
    entry = sealed[number - 1]
    await tamper(
        superuser, [(f"UPDATE kernel_audit_seals SET {change(changed)} WHERE entry_id = $1::text::uuid", entry)]
    )
    report = await verified(platform, tenant)
    first = report.findings[0]
    assert first.number == number
    if changed.startswith(("tenant_id", "number")):
        assert first.kind == ("cut_off" if number == LENGTH and changed.startswith("tenant_id") else "removed")
    elif changed.startswith("entry_id"):
        assert first.kind == "removed"
    else:
        assert (first.kind, first.entry_id) == ("changed", entry)


@pytest.mark.parametrize("changed", HEAD_CHANGES)
async def test_a_change_in_any_column_of_a_head(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str], changed: str
) -> None:
    await tamper(superuser, [(f"UPDATE kernel_audit_heads SET {change(changed)} WHERE tenant_id = $1", tenant)])
    report = await verified(platform, tenant)
    assert report.findings[0].kind == "head"


@pytest.mark.parametrize("with_seal", [True, False])
@pytest.mark.parametrize("number", [1, MIDDLE, LENGTH])
async def test_a_row_that_was_removed(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str], number: int, with_seal: bool
) -> None:
    statements = [("DELETE FROM kernel_audit_entries WHERE id = $1::text::uuid", sealed[number - 1])]
    if with_seal:
        statements.append(("DELETE FROM kernel_audit_seals WHERE entry_id = $1::text::uuid", sealed[number - 1]))
    await tamper(superuser, statements)
    report = await verified(platform, tenant)
    (finding,) = report.findings
    assert finding.number == number
    assert finding.kind == ("cut_off" if with_seal and number == LENGTH else "removed")


async def test_a_row_that_was_removed_with_the_others_moved_up(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str]
) -> None:
    removed = sealed[MIDDLE - 1]
    await tamper(
        superuser,
        [
            ("DELETE FROM kernel_audit_entries WHERE id = $1::text::uuid", removed),
            ("DELETE FROM kernel_audit_seals WHERE entry_id = $1::text::uuid", removed),
            *(
                (
                    "UPDATE kernel_audit_seals SET number = number - 1 WHERE tenant_id = $1 AND number = $2",
                    tenant,
                    number,
                )
                for number in range(MIDDLE + 1, LENGTH + 1)
            ),
        ],
    )
    first = (await verified(platform, tenant)).findings[0]
    assert (first.number, first.entry_id) == (MIDDLE, sealed[MIDDLE])


async def test_a_row_that_was_inserted_past_the_sealer(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str], sealer: Sealer
) -> None:
    forged = new_id()
    insert = (
        "INSERT INTO kernel_audit_entries (id, tenant_id, actor_kind, action, object_type, request_id, xid)"
        " VALUES ($1, $2, 'system', 'a:b.c', 'x', 'r', '3')"
    )
    await tamper(superuser, [(insert, forged, tenant)])
    await sealer.seal()
    (finding,) = (await verified(platform, tenant)).findings
    assert (finding.kind, finding.entry_id) == ("inserted", str(forged))


async def test_a_row_that_was_inserted_with_a_seal_of_its_own(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str]
) -> None:
    """At the chain's end, with a hash that fits: the HMAC can't be made without the key."""
    forged = new_id()
    row = await superuser.fetchrow("SELECT * FROM kernel_audit_seals WHERE entry_id = $1::text::uuid", sealed[-1])
    await tamper(
        superuser,
        [
            ("INSERT INTO kernel_audit_entries (id, tenant_id, actor_kind, action, object_type, request_id)"
             " VALUES ($1, $2, 'system', 'a:b.c', 'x', 'r')", forged, tenant),
            ("INSERT INTO kernel_audit_seals VALUES ($1, $2, $3, $4, $5, $6, now())", tenant, LENGTH + 1, forged,
             bytes(32), bytes(32), row["key_id"]),
        ],
    )  # fmt: skip
    first = (await verified(platform, tenant)).findings[0]
    assert (first.kind, first.number, first.entry_id) == ("rewritten", LENGTH + 1, str(forged))


async def test_two_rows_for_one_number(platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str]) -> None:
    """The keys of the tables can be dropped as well."""
    async with superuser.transaction():
        await superuser.execute("ALTER TABLE kernel_audit_seals DROP CONSTRAINT kernel_audit_seals_pkey")
        await superuser.execute(
            "ALTER TABLE kernel_audit_seals DROP CONSTRAINT kernel_audit_seals_tenant_id_entry_id_key"
        )
        await superuser.execute(
            "INSERT INTO kernel_audit_seals SELECT * FROM kernel_audit_seals WHERE entry_id = $1::text::uuid", sealed[1]
        )
    report = await verified(platform, tenant)
    await tamper(
        superuser,
        [
            ("DELETE FROM kernel_audit_seals a USING kernel_audit_seals b WHERE a.ctid > b.ctid"
             " AND (a.tenant_id, a.number) = (b.tenant_id, b.number)",),
            ("ALTER TABLE kernel_audit_seals ADD PRIMARY KEY (tenant_id, number)",),
            ("ALTER TABLE kernel_audit_seals ADD UNIQUE (tenant_id, entry_id)",),
        ],
    )  # fmt: skip
    (finding,) = report.findings
    assert (finding.kind, finding.number, finding.entry_id) == ("inserted", 2, sealed[1])
    assert (await verified(platform, tenant)).sound


async def head_of(platform: TestPlatform, tenant: UUID) -> AuditHead:
    head = (await verified(platform, tenant)).head
    assert head is not None
    return head


async def cut_off(superuser: Any, tenant: UUID, number: int, head: dict[str, Any]) -> None:
    """Put a chain back to where it was, its head included."""
    names = ("number", "hash", "mac", "key_id", "signed_at", "signature")
    await tamper(
        superuser,
        [
            ("DELETE FROM kernel_audit_entries e USING kernel_audit_seals s WHERE e.id = s.entry_id"
             " AND s.tenant_id = $1 AND s.number > $2", tenant, number),
            ("DELETE FROM kernel_audit_seals WHERE tenant_id = $1 AND number > $2", tenant, number),
            (f"UPDATE kernel_audit_heads SET ({', '.join(names)}) = ($2, $3, $4, $5, $6, $7) WHERE tenant_id = $1",
             tenant, *(head[name] for name in names)),
        ],
    )  # fmt: skip


async def test_the_tail_cut_off(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str], sealer: Sealer
) -> None:
    """With a head of that time put back, only an exported head shows it."""
    early = dict(await superuser.fetchrow("SELECT * FROM kernel_audit_heads WHERE tenant_id = $1", tenant))
    await add_entries(platform, tenant, 2)
    await sealer.seal()
    exported = await head_of(platform, tenant)
    await cut_off(superuser, tenant, LENGTH, early)
    assert (await verified(platform, tenant)).sound
    (finding,) = (await verified(platform, tenant, exported)).findings
    assert (finding.kind, finding.number) == ("cut_off", LENGTH + 1)
    # Others in their place don't hide it either.
    await add_entries(platform, tenant, 3)
    await new_sealer(platform).seal()
    assert (await verified(platform, tenant)).sound
    (finding,) = (await verified(platform, tenant, exported)).findings
    assert (finding.kind, finding.number) == ("rewritten", LENGTH + 2)


async def test_everything_removed(platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str]) -> None:
    exported = await head_of(platform, tenant)
    await tamper(
        superuser,
        [(f"DELETE FROM kernel_audit_{table} WHERE tenant_id = $1", tenant) for table in ("entries", "seals", "heads")],
    )
    (finding,) = (await verified(platform, tenant, exported)).findings
    assert (finding.kind, finding.number) == ("cut_off", 1)


@pytest.mark.parametrize("claimed", ["its own key id", "our key id"])
async def test_the_whole_chain_rewritten_with_another_key(
    platform: TestPlatform, tenant: UUID, superuser: Any, sealed: list[str], claimed: str
) -> None:
    exported = await head_of(platform, tenant)
    theirs = Vault(b"e" * 32)
    await tamper(
        superuser,
        [
            ("UPDATE kernel_audit_entries SET after = '{}' WHERE id = $1::text::uuid", sealed[0]),
            *((f"DELETE FROM kernel_audit_{table} WHERE tenant_id = $1", tenant) for table in ("seals", "heads")),
        ],
    )
    forger = new_sealer(platform)
    forger._keys = SealKeys(theirs)
    ours = platform.runtime.vault.key_id
    await tamper(superuser, [("DELETE FROM kernel_audit_sealer",)])
    await forger.seal()
    if claimed == "our key id":
        forger._keys = _Claiming(theirs, ours)
        await tamper(
            superuser,
            [(f"DELETE FROM kernel_audit_{table} WHERE tenant_id = $1", tenant) for table in ("seals", "heads")],
        )
        await tamper(superuser, [("DELETE FROM kernel_audit_sealer",)])
        forger._known.clear()
        await forger.seal()
    for heads in ((), (exported,)):
        findings = (await verified(platform, tenant, *heads)).findings
        assert ("rewritten", 1, sealed[0]) in [(one.kind, one.number, one.entry_id) for one in findings]
        assert {one.kind for one in findings} <= {"head", "rewritten"}


class _Claiming(SealKeys):
    """Keys of somebody else's, under our key id."""

    def __init__(self, vault: Vault, key_id: str) -> None:
        super().__init__(vault)
        self._claimed = key_id
        mac, signing = vault.derived_key("audit.seal"), vault.key_id
        assert self._private(signing)
        self._macs[key_id] = mac
        self._signing[key_id] = self._private(signing)

    @property
    def key_id(self) -> str:
        return self._claimed


async def test_an_exported_head_that_is_not_ours_proves_nothing(
    platform: TestPlatform, tenant: UUID, sealed: list[str]
) -> None:
    import msgspec

    head = await head_of(platform, tenant)
    for forged in (
        msgspec.structs.replace(head, number=head.number + 1),
        msgspec.structs.replace(head, signature="00" * 64),
        msgspec.structs.replace(head, signature="no signature"),
        msgspec.structs.replace(head, key_id="0" * 16),
    ):
        (finding,) = (await verified(platform, tenant, forged)).findings
        assert finding.kind == "head"
    assert (await verified(platform, tenant, head)).sound
