"""`pegboard plugins uninstall`, `receipts` and `verify-receipt`, on a platform's database."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pegboard.cli import main

from tests.kernel.plugins.removal.conftest import Site
from tests.support.servers import MASTER_KEY, REDIS

Cli = Callable[..., Awaitable[Result]]


@pytest.fixture
def cli(site: Site) -> Cli:
    """Runs `pegboard plugins …` on the site."""
    env = {
        "PEGBOARD_DATABASE__URL": site.url,
        "PEGBOARD_REDIS__URL": os.environ[REDIS],
        "PEGBOARD_SECRETS__MASTER_KEY": os.environ[MASTER_KEY],
    }

    async def run(*arguments: str) -> Result:
        command = ["--config", site.config.path, "plugins", *arguments]
        return await asyncio.to_thread(CliRunner().invoke, main, command, env=env)

    return run


async def test_export_and_purge(cli: Cli, site: Site, tmp_path: Path) -> None:
    await site.add_book()
    folder = tmp_path / "shelves"

    done = await cli("uninstall", "shelves", "--export", str(folder), "--purge", "--yes")

    assert done.exit_code == 0, done.stderr
    assert "shelves_books: 1 row\n" in done.stderr
    assert "shelves_lendings: 0 rows\n" in done.stderr
    assert "exported shelves_books: 1 row, " in done.stderr
    assert "the data of shelves are exported: receipt" in done.stdout
    assert "shelves is purged: receipt" in done.stdout
    assert f"to remove its package: pip uninstall {site.workshop.packages['shelves']}" in done.stdout
    assert await site.tables() == set()
    for name in ("receipt.json", "purge-receipt.json"):
        verified = await cli("verify-receipt", str(folder / name))
        assert (verified.exit_code, "5 files are as they were exported" in verified.stdout) == (0, True)
    whole = await cli("verify-receipt", str(folder), "--json")
    assert whole.exit_code == 0, whole.stderr
    verified = json.loads(whole.stdout)["receipts"]
    assert [(one["signed"]["receipt"]["action"], one["files"]) for one in verified] == [("export", 5), ("purge", 5)]
    listed = json.loads((await cli("receipts", "shelves", "--json")).stdout)["receipts"]
    assert [one["receipt"]["action"] for one in listed] == ["export", "purge"]
    assert listed[1] == json.loads((folder / "purge-receipt.json").read_text())
    lines = (await cli("receipts")).stdout.splitlines()
    assert [line.endswith("  1 row") for line in lines] == [True, True]

    again = await cli("uninstall", "shelves", "--purge", "--yes")
    assert (again.exit_code, again.stderr.startswith("pegboard: shelves was purged at")) == (2, True)


async def test_keep(cli: Cli, site: Site) -> None:
    await site.add_book()

    done = await cli("uninstall", "shelves", "--keep", "--yes", "--json")

    answer = json.loads(done.stdout)
    assert answer["receipts"][0]["receipt"]["tables"] == {"shelves_books": 1, "shelves_lendings": 0}
    assert answer["package"]["pip"] == f"pip uninstall {site.workshop.packages['shelves']}"
    assert await site.owner.fetchval("SELECT count(*) FROM shelves_books") == 1


async def test_a_changed_receipt_is_refused(cli: Cli, tmp_path: Path) -> None:
    await cli("uninstall", "shelves", "--export", str(tmp_path / "shelves"), "--yes")
    receipt = tmp_path / "shelves" / "receipt.json"
    receipt.write_text(receipt.read_text().replace('"export"', '"purge"'))

    refused = await cli("verify-receipt", str(receipt))

    assert (refused.exit_code, "the receipt was changed" in refused.stderr) == (2, True)
    (tmp_path / "else").write_text("{}")
    assert "is not a receipt" in (await cli("verify-receipt", str(tmp_path / "else"))).stderr


@pytest.mark.parametrize("harm", ["changed", "added", "manifest", "receipt"])
async def test_a_folder_that_is_not_as_it_was_exported_is_refused(
    cli: Cli, site: Site, tmp_path: Path, harm: str
) -> None:
    await site.add_book()
    folder = tmp_path / "shelves"
    await cli("uninstall", "shelves", "--export", str(folder), "--yes")
    books = folder / "data" / "shelves_books.ndjson"
    match harm:
        case "changed":
            books.write_text(books.read_text().replace("Emma", "Emmy"))
            told = f"{books} was changed since the export"
        case "added":
            (folder / "data" / "shelves_more.ndjson").touch()
            told = f"{folder / 'data' / 'shelves_more.ndjson'} is not of the export"
        case "manifest":
            (folder / "manifest.json").unlink()
            told = f"{folder / 'manifest.json'} can't be read"
        case _:
            (folder / "receipt.json").unlink()
            told = f"{folder} holds no finished export: there is no receipt.json in it"

    refused = await cli("verify-receipt", str(folder))

    assert (refused.exit_code, told in refused.stderr) == (2, True), refused.stderr


async def test_a_purge_that_was_cut_off_goes_on_when_it_is_run_again(cli: Cli, site: Site, tmp_path: Path) -> None:
    await site.add_book()
    command = ("uninstall", "shelves", "--export", str(tmp_path / "shelves"))
    await cli(*command, "--yes")

    assert "is there already" in (await cli(*command, "--yes")).stderr
    done = await cli(*command, "--purge", "--yes")

    assert (done.exit_code, "shelves is purged" in done.stdout) == (0, True), done.stderr
    assert "exported" not in done.stderr


async def test_a_wrong_declaration_of_anothers_is_named(cli: Cli, site: Site) -> None:
    await site.owner.execute(
        "INSERT INTO kernel_reference_columns (relation, attribute, plugin)"
        " VALUES ('finance_escrows', 'payer_id', 'finance')"
    )

    done = await cli("uninstall", "shelves", "--purge", "--yes")

    assert done.exit_code == 0
    assert "no tombstones for these: finance: its reference column finance_escrows.payer_id is of type" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("shelves",), "Say what becomes of the data"),
        (("shelves", "--keep", "--purge"), "Say what becomes of the data"),
        (("shelves", "--purge"), "nobody is there to ask: add --yes to go on"),
        (("nobody", "--keep", "--yes"), "Nothing of a plugin named nobody is in the database."),
        (("finance", "--purge", "--yes"), "finance is on. Turn off first what is to go: pegboard plugins disable"),
    ],
)
async def test_what_is_not_clear_changes_nothing(
    cli: Cli, site: Site, arguments: tuple[str, ...], expected: str
) -> None:
    refused = await cli("uninstall", *arguments)

    assert refused.exit_code == 2
    assert expected in refused.stderr
    assert await site.owner.fetchval("SELECT count(*) FROM kernel_plugin_receipts") == 0
    assert await site.tables() == {"shelves_books", "shelves_lendings"}


async def test_what_is_in_the_way_is_said_before_anybody_is_asked(cli: Cli, site: Site) -> None:
    await site.owner.execute("CREATE VIEW report AS SELECT title FROM shelves_books")

    refused = await cli("uninstall", "shelves", "--purge")

    assert refused.exit_code == 2
    assert "shelves can't be purged: the view public.report needs the" in refused.stderr
