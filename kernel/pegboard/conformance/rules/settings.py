"""Settings."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from pegboard_sdk.settings import Secret

from pegboard.conformance.loaded import Loaded
from pegboard.conformance.rule import Rule

__all__ = ("RULES",)

_SECRET = re.compile(r"(^|_)(password|passphrase|secret|token|api_key|private_key|credentials?)$")


def _has_settings(loaded: Loaded) -> str | None:
    return None if loaded.plugin.settings is not None else "it has no settings"


def _struct(loaded: Loaded) -> type[msgspec.Struct]:
    assert loaded.plugin.settings is not None
    return type(loaded.plugin.settings)


def _fields(loaded: Loaded) -> Iterator[tuple[str, Any]]:
    struct = _struct(loaded)
    hints = get_type_hints(struct, include_extras=True)
    for name in struct.__struct_fields__:
        yield name, hints.get(name)


def _documented(loaded: Loaded) -> Iterator[str]:
    text = _struct(loaded).__doc__ or ""
    for name, hint in _fields(loaded):
        if not re.search(rf"`{name}`", text) and not _description(hint):
            yield f"the setting {name} is not described"


def _description(hint: Any) -> str:
    if get_origin(hint) is not Annotated:
        return ""
    metas = [one for one in get_args(hint)[1:] if isinstance(one, msgspec.Meta)]
    return next((meta.description for meta in metas if meta.description), "")


def _hidden(loaded: Loaded) -> Iterator[str]:
    for name, hint in _fields(loaded):
        if _SECRET.search(name) and not _has_secret(hint):
            yield f"the setting {name} is text that logs and `config show` print: it must be a Secret"


def _has_secret(hint: Any) -> bool:
    return hint is Secret or any(_has_secret(one) for one in get_args(hint))


def _defaults(loaded: Loaded) -> Iterator[str]:
    for field in msgspec.structs.fields(_struct(loaded)):
        if field.required:
            yield f"the setting {field.name} has no default: the plugin can't be switched on without it"


RULES = (
    Rule(
        id="settings.documented",
        tier="silver",
        title="Each setting is described",
        why="The reference of settings, and whoever configures the platform, know nothing else about it.",
        fix="Name the field in backticks in the docstring of the settings Struct, or give it"
        ' Annotated[…, Meta(description="…")]; say units, and what other values mean.',
        needs="import",
        check=_documented,
        applies=_has_settings,
    ),
    Rule(
        id="settings.hidden",
        tier="silver",
        title="Secrets among the settings are Secrets",
        why="Plain text is shown wherever settings are.",
        fix="Annotate the field with pegboard_sdk.Secret, or better, read it from the vault with uow.secret.",
        needs="import",
        check=_hidden,
        applies=_has_settings,
    ),
    Rule(
        id="settings.defaults",
        tier="gold",
        title="It can be switched on with no settings at all",
        why="Whoever tries it out should meet a working plugin, not an error; what it can't do yet it says when it is"
        " asked.",
        fix="Give the field a default, and answer with a problem that names the setting where it is needed.",
        needs="import",
        check=_defaults,
        applies=_has_settings,
    ),
)
