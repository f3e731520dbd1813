"""`pegboard plugins check`."""

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from pegboard.cli import CommandError
from pegboard.cli._platform import json_option

if TYPE_CHECKING:
    from pegboard.conformance.rule import Tier

__all__ = ("command",)


@click.command("check")
@click.argument("target", metavar="PATH_OR_NAME", required=False)
@click.option(
    "--tier",
    type=click.Choice(["bronze", "silver", "gold"]),
    default="bronze",
    show_default=True,
    help="The tier that the plugin must reach.",
)
@click.option("--rule", "only", multiple=True, metavar="ID", help="Judge by this rule; may be repeated.")
@click.option("--list-rules", is_flag=True, help="List the rules instead.")
@click.option("--no-platform", is_flag=True, help="Leave out the rules for which a platform has to be started.")
@json_option
def command(
    target: str | None, tier: "Tier", only: tuple[str, ...], list_rules: bool, no_platform: bool, as_json: bool
) -> None:
    """Judge a plugin by the rules of docs/plugin-quality.md: the folder of its project, its wheel, or an installed one
    by name.

    First its files are read, then it is imported, then it runs on a platform of its own: real servers that are started
    for it and removed afterwards. Exit status 1 where the plugin misses the tier, or breaks one of the rules that were
    named; 2 where there is no plugin to judge.

    \b
    Examples:
      pegboard plugins check .
      pegboard plugins check . --tier gold
      pegboard plugins check dist/pegboard_reviews-1.0.0-py3-none-any.whl --json
      pegboard plugins check finance --rule jobs.bounded
    """
    from pegboard.conformance.catalog import all_rules
    from pegboard.conformance.locate import NotAPluginError
    from pegboard.conformance.report import as_data, as_text
    from pegboard.conformance.report import list_rules as listed
    from pegboard.conformance.runner import check

    if list_rules:
        click.echo(listed(all_rules()))
        return
    if target is None:
        raise CommandError("name a plugin, the folder of its project or its wheel: `pegboard plugins check .`")
    unknown = sorted(set(only) - {rule.id for rule in all_rules()})
    if unknown:
        raise CommandError(f"there is no rule {', '.join(unknown)}: --list-rules shows which there are")
    try:
        report = asyncio.run(check(target, only=only, platform=not no_platform))
    except NotAPluginError as error:
        raise CommandError(str(error)) from error
    click.echo(msgspec.json.encode(as_data(report)) if as_json else as_text(report))
    kept = report.keeps("gold" if only else tier, platform=not no_platform)
    raise SystemExit(0 if kept else 1)
