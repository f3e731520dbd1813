"""`pegboard config`: check, show and start a configuration."""

import os
import shutil
from pathlib import Path
from typing import Any

import click
import msgspec
import tomlkit
from pegboard_sdk.settings import Secret

from pegboard.cli import CommandError, CommandLine
from pegboard.config.errors import ConfigError, in_order
from pegboard.config.load import read_config
from pegboard.config.model import Config, PluginEntry
from pegboard.paths import CONFIG_NAME, config_path, config_template

_HIDDEN = "(hidden)"


@click.group("config")
def command() -> None:
    """Check, show or start the configuration.

    \b
    Example:
      pegboard config check
    """


@command.command("check")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.pass_obj
def check(cli: CommandLine, as_json: bool) -> None:
    """Say whether the configuration is right, that of the plugins that are on too; exit status 2 when not.

    Each mistake is a line: file, line, key and what to do.

    \b
    Example:
      pegboard --config /etc/pegboard/plugins.toml config check
    """
    mistakes: tuple[ConfigError, ...] = ()
    path = str(cli.path or config_path(os.environ, Path.cwd()))
    try:
        config, found = read_config(cli.path)
        path = config.path
        mistakes = (*found, *_settings(config)[1])
    except ConfigError as error:
        mistakes = error.all
    mistakes = tuple(in_order(mistakes))
    if as_json:
        shown = [{"file": m.file, "line": m.line, "key": m.key, "reason": m.reason} for m in mistakes]
        click.echo(msgspec.json.encode({"ok": not mistakes, "path": path, "errors": shown}))
    else:
        for mistake in mistakes:
            click.echo(str(mistake), err=True)
        if not mistakes:
            click.echo(f"{path}: ok")
    if mistakes:
        raise SystemExit(2)


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.pass_obj
def show(cli: CommandLine, as_json: bool) -> None:
    """Show the effective configuration: file, environment and defaults. Secrets are hidden.

    \b
    Example:
      pegboard config show --json
    """
    config = cli.config()
    shown = _shown(config)
    if as_json:
        click.echo(msgspec.json.encode(shown))
    else:
        click.echo(f"# {config.path} and the environment\n{tomlkit.dumps(_without_null(shown))}".rstrip())


@command.command("init")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default=CONFIG_NAME)
def init(path: Path) -> None:
    """Write a commented plugins.toml to start from. Never overwrites a file.

    \b
    Example:
      pegboard config init
    """
    try:
        with path.open("xb") as target, config_template().open("rb") as template:
            shutil.copyfileobj(template, target)
    except FileExistsError:
        raise CommandError(f"{path} is there already: edit it, or name another file") from None
    except OSError as error:
        raise CommandError(f"{path} can't be written: {error.strerror}") from error
    click.echo(f"{path}: written")


def _settings(config: Config) -> tuple[dict[str, msgspec.Struct | None], list[ConfigError]]:
    from pegboard.plugins.settings import effective_settings

    return effective_settings(config)


def _shown(config: Config) -> dict[str, Any]:
    kernel = msgspec.to_builtins(config, enc_hook=_hide)
    del kernel["path"], kernel["plugins"]
    settings = _settings(config)[0]
    plugins = {name: _plugin(entry, settings.get(name)) for name, entry in config.plugins.items()}
    return {"pegboard": kernel, "plugins": plugins}


def _plugin(entry: PluginEntry, settings: msgspec.Struct | None) -> dict[str, Any]:
    if settings is not None:
        return {"enabled": entry.enabled, **msgspec.to_builtins(settings, enc_hook=_hide)}
    # It is off or its settings are wrong, and only its Struct would know which of them are secret: no text is shown.
    written = {**entry.settings, **dict.fromkeys(entry.environment, _HIDDEN)}
    return {"enabled": entry.enabled} | {
        name: _HIDDEN if isinstance(value, str) else value for name, value in written.items()
    }


def _without_null(value: Any) -> Any:
    """TOML has no null: what is None is left out."""
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return [_without_null(item) for item in value if item is not None] if isinstance(value, list) else value


def _hide(value: Any) -> Any:
    if isinstance(value, Secret):
        return _HIDDEN if value else ""
    raise TypeError(f"can't show a {type(value).__name__}")
