"""A plugin's settings are its Struct, from the file and the environment, with the same mistakes."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard.config.model import Config, PluginEntry
from pegboard.config.plugin_settings import decode_settings
from pegboard_sdk import Secret


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    daily: int = 10


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fee: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 1_000
    rounding: Literal["up", "down"] = "down"
    key: Secret = Secret("")
    words: list[str] = []
    limits: Limits = Limits()
    note: str | None = None

    def __post_init__(self) -> None:
        if self.rounding == "up" and self.fee == 0:
            raise ValueError("rounding up needs a fee")


class Needy(msgspec.Struct, frozen=True):
    address: str


def load(folder: Path, text: str, **environ: str) -> Config:
    path = folder / "plugins.toml"
    path.write_text(f"[plugins.hello]\nenabled = true\n{text}")
    return load_config(path, environ)


def test_what_is_not_set_has_its_default(tmp_path: Path):
    assert decode_settings(load(tmp_path, ""), "hello", Settings, {}) == Settings()


def test_a_plugin_that_is_not_named_has_defaults():
    assert decode_settings(Config(), "hello", Settings, {}) == Settings()


def test_the_file_then_the_environment(tmp_path: Path):
    config = load(
        tmp_path,
        'fee = 5\nkey = "env:KEY"\nwords = ["a"]\nlimits = { daily = 3 }\n',
        PEGBOARD_HELLO__FEE="7",
        PEGBOARD_HELLO__WORDS="b, c",
        PEGBOARD_HELLO__LIMITS='{"daily": 4}',
    )

    assert decode_settings(config, "hello", Settings, {"KEY": "k"}) == Settings(
        fee=7, key=Secret("k"), words=["b", "c"], limits=Limits(daily=4)
    )


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("fe = 1", 3, "plugins.hello.fe", "unknown key: did you mean fee?"),
        ("fee = 10001", 3, "plugins.hello.fee", "expected a whole number <= 10000"),
        ("\nrounding = 'sideways'", 4, "plugins.hello.rounding", "expected one of down, up"),
        ("note = 1", 3, "plugins.hello.note", "expected text or nothing, got a whole number"),
        ("[plugins.hello.limits]\ndayly = 1", 4, "plugins.hello.limits.dayly", "unknown key"),
        ("limits = { daily = 'x' }", 3, "plugins.hello.limits.daily", "expected a whole number, got text"),
        ("key = 'env:NOWHERE'", 3, "plugins.hello.key", "the environment variable NOWHERE is not set"),
        ("rounding = 'up'\nfee = 0", 1, "plugins.hello", "rounding up needs a fee"),
    ],
)
def test_a_mistake_names_its_place_and_reason(tmp_path: Path, text: str, line: int, key: str, reason: str):
    config = load(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        decode_settings(config, "hello", Settings, {})

    assert (caught.value.line, caught.value.key, caught.value.reason) == (line, key, reason)


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("PEGBOARD_HELLO__FEE", "x", "expected a whole number, got text"),
        ("PEGBOARD_HELLO__FE", "1", "unknown setting: did you mean fee?"),
        ("PEGBOARD_HELLO__LIMITS__DAILY", "1", "unknown setting: did you mean limits?"),
        ("PEGBOARD_HELLO__LIMITS", "{", "is not valid JSON"),
        ("PEGBOARD_HELLO__LIMITS", '{"daily": ""}', ".daily: expected a whole number, got text"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, variable: str, text: str, reason: str):
    config = load(tmp_path, "", **{variable: text})

    with pytest.raises(ConfigError) as caught:
        decode_settings(config, "hello", Settings, {})

    assert (caught.value.file, caught.value.key, caught.value.reason) == ("environment", variable, reason)


def test_a_required_setting_must_be_there(tmp_path: Path):
    config = load(tmp_path, "")

    with pytest.raises(ConfigError, match=r"plugins\.hello\.address: is required and missing"):
        decode_settings(config, "hello", Needy, {})


def test_a_file_that_is_gone_by_now_loses_only_the_line(tmp_path: Path):
    config = load(tmp_path, "fee = 'x'")
    Path(config.path).unlink()

    with pytest.raises(ConfigError, match="expected a whole number") as caught:
        decode_settings(config, "hello", Settings, {})

    assert (caught.value.file, caught.value.line) == (config.path, None)


def test_settings_made_in_memory_are_checked_too():
    config = Config(plugins={"hello": PluginEntry(name="hello", enabled=True, settings={"fee": -1})})

    with pytest.raises(ConfigError, match="expected a whole number >= 0"):
        decode_settings(config, "hello", Settings, {})
