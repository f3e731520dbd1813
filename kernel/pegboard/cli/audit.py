"""`pegboard audit`: read the audit trail, verify it, and take out what others can verify."""

import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import click
import msgspec
from pegboard_sdk.ids import new_id
from pegboard_sdk.services import AuditEntryView

from pegboard.audit.chain import AuditHead, SealKeys
from pegboard.audit.errors import NothingSealed
from pegboard.audit.export import export_trail
from pegboard.audit.search import AuditSearch
from pegboard.audit.verification import AuditProgress, current_head, tenants_with_trail, verify_trail
from pegboard.audit.walk import MAX_FINDINGS, AuditReport
from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run, tenant_option
from pegboard.runtime import Runtime
from pegboard.work import ReadWork

__all__ = ("command",)

UNSOUND = 1
"""The exit status when something was done to a trail. 2 is for what kept us from looking, as everywhere."""
LATE = 60.0
"""Seconds after which an entry should have been sealed."""

_PAGE = 1000

output_option = click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write. Default: standard output."
)


@click.group("audit")
def command() -> None:
    """Read the audit trail, verify it, and take out what others can verify.

    \b
    Examples:
      pegboard audit list --action account:role.grant
      pegboard audit head > head.json
      pegboard audit verify --head head.json
    """


@command.command("list")
@click.option("--actor", "actor_id", type=click.UUID, help="Only what this account did.")
@click.option("--action", help="Only this action, such as account:role.grant.")
@click.option("--object-type", help="Only objects of this kind, such as account.")
@click.option("--object", "object_id", help="Only this object, by its id.")
@click.option("--outcome", type=click.Choice(["success", "refused", "failed"]), help="Only this outcome.")
@click.option("--since", type=click.DateTime(), help="Only from this time on (UTC).")
@click.option("--until", type=click.DateTime(), help="Only before this time (UTC).")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many entries at most.")
@tenant_option
@json_option
@click.pass_obj
def list_entries(
    cli: CommandLine,
    tenant: str,
    as_json: bool,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    **filters: Any,
) -> None:
    """List entries, newest first.

    \b
    Examples:
      pegboard audit list --since 2026-01-31 --outcome refused
      pegboard audit list --object 0190a5c2-… --json
    """
    times = {"since": since and since.replace(tzinfo=UTC), "until": until and until.replace(tzinfo=UTC)}
    entries = run(_search(cli, tenant, limit, {**filters, **times}))
    if as_json:
        click.echo(msgspec.json.encode({"entries": entries}))
        return
    for entry in entries:
        click.echo(_line(entry))
    if not entries:
        click.echo("no entries")


async def _search(cli: CommandLine, tenant: str, limit: int, filters: Mapping[str, Any]) -> list[AuditEntryView]:
    entries: list[AuditEntryView] = []
    async with open_runtime(cli) as runtime:
        work = ReadWork(runtime, runtime.registry, await operator_of(runtime, tenant), new_id().hex)
        try:
            cursor: str | None = None
            while len(entries) < limit:
                page = await AuditSearch().search(
                    work, **filters, limit=min(_PAGE, limit - len(entries)), cursor=cursor
                )
                entries += page.items
                cursor = page.next_cursor
                if cursor is None:
                    break
        finally:
            await work.release()
    return entries


def _line(entry: AuditEntryView) -> str:
    actor = str(entry.actor_id) if entry.actor_id else entry.actor_kind
    when = f"{entry.occurred_at:%Y-%m-%d %H:%M:%S}"
    why = f"({entry.reason})" if entry.reason else ""
    parts = (when, actor, entry.outcome, entry.action, entry.object_type, entry.object_id or "", why)
    return " ".join(part for part in parts if part)


@command.command("verify")
@click.option("--tenant", metavar="SLUG", help="One marketplace, by its short name. Default: all of them.")
@click.option(
    "--head", "head_files", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A head that was exported earlier; may be given more than once.",
)  # fmt: skip
@json_option
@click.pass_obj
def verify(cli: CommandLine, tenant: str | None, head_files: Sequence[Path], as_json: bool) -> None:
    """Verify that no audit entry was changed, removed or inserted: exit status 1 where one was, and the row is named.

    That the newest entries were cut off shows only against a head that was exported before and kept elsewhere. What
    was verified is read piece by piece; the platform may go on working.

    \b
    Examples:
      pegboard audit verify
      pegboard audit verify --tenant default --head /media/elsewhere/head.json
    """
    heads = [head for path in head_files for head in _read_heads(path)]
    reports = run(_verify(cli, tenant, heads, as_json=as_json))
    if as_json:
        click.echo(msgspec.json.encode({"trails": reports}))
    elif not reports:
        click.echo("no audit entries")
    if not all(report.sound for report in reports):
        sys.exit(UNSOUND)


@command.command("head")
@click.option("--tenant", metavar="SLUG", help="One marketplace, by its short name. Default: all of them.")
@output_option
@click.pass_obj
def export_head(cli: CommandLine, tenant: str | None, output: Path | None) -> None:
    """Write the signed heads of the audit trails, a line of JSON each. Keep them where who runs the database can't
    reach: with one, `pegboard audit verify --head` shows that nothing up to it is missing.

    \b
    Example:
      pegboard audit head --output /media/elsewhere/head.json
    """
    lines = run(_heads(cli, tenant))
    with _written(output) as file:
        file.writelines(lines)


@command.command("export")
@click.option("--since", type=click.DateTime(), help="Only from this time on (UTC).")
@click.option("--until", type=click.DateTime(), help="Only before this time (UTC).")
@output_option
@tenant_option
@click.pass_obj
def export(cli: CommandLine, tenant: str, since: datetime | None, until: datetime | None, output: Path | None) -> None:
    """Export sealed entries as lines of JSON that somebody else can verify, without access to the platform.

    Each line has an entry and its seal; the last one is signed. docs/audit.md has a program that verifies the file.

    \b
    Example:
      pegboard audit export --since 2026-01-01 --until 2026-02-01 --output january.ndjson
    """
    with _written(output) as file:
        run(_export(cli, tenant, since and since.replace(tzinfo=UTC), until and until.replace(tzinfo=UTC), file))


async def _verify(
    cli: CommandLine, slug: str | None, heads: Sequence[AuditHead], *, as_json: bool
) -> list[AuditReport]:
    reports: list[AuditReport] = []
    async with open_runtime(cli) as runtime:
        keys = SealKeys(runtime.vault)
        named = {UUID(head.tenant_id) for head in heads}
        async for tenant_id, name in _tenants(runtime, slug, named):
            async for step in verify_trail(runtime.database, keys, tenant_id, heads):
                if isinstance(step, AuditReport):
                    reports.append(step)
                    if not as_json:
                        _tell(name, step)
                elif not as_json:
                    _show_progress(name, step)
    return reports


async def _tenants(runtime: Runtime, slug: str | None, named: Iterable[UUID] = ()) -> AsyncIterator[tuple[UUID, str]]:
    """The tenant that `slug` names, or all that have a trail or are `named` by a head; each with what to call it."""
    if slug is not None:
        yield (await operator_of(runtime, slug)).tenant_id, slug
        return
    async with runtime.database.system_transaction() as connection:
        rows = await connection.fetch("SELECT id, slug FROM kernel_tenants")
    slugs = {row["id"]: row["slug"] for row in rows}
    for tenant_id in sorted({*named, *await tenants_with_trail(runtime.database)}):
        yield tenant_id, slugs.get(tenant_id, str(tenant_id))


async def _heads(cli: CommandLine, slug: str | None) -> list[bytes]:
    async with open_runtime(cli) as runtime:
        keys = SealKeys(runtime.vault)
        found = [
            await current_head(runtime.database, keys, tenant_id) async for tenant_id, _ in _tenants(runtime, slug)
        ]
    lines = [msgspec.json.encode(head) + b"\n" for head in found if head is not None]
    if not lines:
        raise NothingSealed
    return lines


async def _export(cli: CommandLine, slug: str, since: datetime | None, until: datetime | None, file: IO[bytes]) -> None:
    async with open_runtime(cli) as runtime:
        tenant_id = (await operator_of(runtime, slug)).tenant_id
        async for lines in export_trail(runtime.database, SealKeys(runtime.vault), tenant_id, since=since, until=until):
            try:
                file.write(lines)
            except OSError as error:
                raise CommandError(f"the export can't be written: {error.strerror}") from error


def _read_heads(path: Path) -> list[AuditHead]:
    try:
        heads = msgspec.json.Decoder(AuditHead).decode_lines(path.read_bytes())
        for head in heads:
            UUID(head.tenant_id)
    except (msgspec.DecodeError, ValueError) as error:
        raise CommandError(f"{path} holds no heads that `pegboard audit head` wrote: {error}") from error
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}") from error
    if not heads:
        raise CommandError(f"{path} is empty")
    return heads


@contextmanager
def _written(output: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that only its owner can read and that is there only once it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = output.with_name(f"{output.name}.part")
    try:
        with open(part, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            yield file
        part.replace(output)
    except OSError as error:
        raise CommandError(f"{output} can't be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _show_progress(name: str, progress: AuditProgress) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{name}: {progress.seals:,} of {progress.total:,}", nl=False, err=True)


def _tell(name: str, report: AuditReport) -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    state = "sound" if report.sound else "NOT SOUND"
    head = "" if report.head is None else f", head signed {report.head.signed_at} with the key {report.head.key_id}"
    click.echo(f"{name}: {state}, {report.seals} sealed entries verified{head}")
    for finding in report.findings:
        row = "" if finding.entry_id is None else f" (entry {finding.entry_id})"
        click.echo(f"  {finding.kind}: {finding.message}{row}")
    if report.full:
        click.echo(f"  … not looked further after {MAX_FINDINGS} findings")
    if report.waiting:
        late = "" if report.waiting_seconds < LATE else ": does a scheduler run?"
        click.echo(f"  {report.waiting} entries wait to be sealed, for {report.waiting_seconds:.0f} s at most{late}")
