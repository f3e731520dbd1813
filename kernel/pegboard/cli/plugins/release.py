"""`pegboard plugins release`."""

import click
import msgspec

from pegboard.cli import CommandError, CommandLine
from pegboard.cli._platform import json_option, open_runtime, operator_of, run

__all__ = ("command",)


@click.command("release")
@click.argument("name")
@json_option
@click.pass_obj
def command(cli: CommandLine, name: str, as_json: bool) -> None:
    """Let a plugin out of quarantine and try it again, without a restart.

    A plugin gets there when its import, a hook, its start-up or its health checks fail. Mend or replace it first: new
    code of a package that was imported before needs the processes restarted one after the other.

    \b
    Example:
      pegboard plugins release reviews
    """
    answer = run(_release(cli, name))
    if answer["state"] == "failed":
        raise CommandError(f"{name} failed again and stays in quarantine: {answer['reason']}")
    if as_json:
        click.echo(msgspec.json.encode(answer))
    elif answer["revision"] is None:
        click.echo(f"{name} is out of quarantine, and off: `pegboard plugins enable {name}` turns it on")
    else:
        click.echo(f"{name} is out of quarantine and {'on' if answer['state'] == 'active' else answer['state']}")


async def _release(cli: CommandLine, name: str) -> dict[str, object]:
    from pegboard.cli.plugins._toggling import decided
    from pegboard.plugins.release import release_plugin

    async with open_runtime(cli) as runtime:
        revision = await release_plugin(runtime, await operator_of(runtime, "default"), name, origin="cli")
        if revision is None:
            return {"plugin": name, "revision": None, "state": "released", "reason": None}
        revision = await decided(runtime, revision)
    return {"plugin": name, "revision": revision.number, "state": revision.state, "reason": revision.reason}
