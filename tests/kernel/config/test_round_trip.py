"""Whatever a configuration says comes back the same, from the file and the environment; every key's line is found."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st
from pegboard.config.load import load_config
from pegboard.config.model import Config, HttpConfig, JobsConfig, LogConfig
from pegboard.config.source import Source

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters=",[{\\"), min_size=1)
POSITIVE = st.integers(1, 2**53)
SECONDS = st.floats(0.001, 1e6)

SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "http": st.builds(
            HttpConfig,
            host=TEXT,
            port=st.integers(0, 65535),
            workers=POSITIVE,
            allowed_hosts=st.lists(TEXT),
            request_timeout=SECONDS,
            internal_metrics=st.booleans(),
        ),
        "jobs": st.builds(JobsConfig, concurrency=POSITIVE, poll_interval=SECONDS),
        "log": st.builds(
            LogConfig,
            level=st.sampled_from(["debug", "info", "error"]),
            format=st.sampled_from(["auto", "json", "text"]),
        ),
    },
)

# What a quoted key needn't escape: a key that is written with escapes is found only by its table.
PLAIN = st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='"\\')
KEY = st.text("abcdefgh_", min_size=1, max_size=6) | st.text(PLAIN, min_size=1, max_size=4)
VALUE = st.recursive(
    st.integers(-100, 100) | st.booleans() | st.text(max_size=20).filter(lambda text: "\r" not in text),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)


def read(folder: Path, document: dict[str, Any], environ: dict[str, str]) -> Config:
    path = folder / "round-trip.toml"
    path.write_bytes(tomlkit.dumps(document).encode())
    return load_config(path, environ)


@given(sections=SECTIONS)
def test_the_file_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, sections: dict[str, msgspec.Struct]
):
    document = {"pegboard": {name: msgspec.to_builtins(section) for name, section in sections.items()}}

    config = read(tmp_path_factory.getbasetemp(), document, {})

    assert {name: getattr(config, name) for name in sections} == sections


@given(sections=SECTIONS)
def test_the_environment_says_the_same_as_the_file(
    tmp_path_factory: pytest.TempPathFactory, sections: dict[str, msgspec.Struct]
):
    environ = {
        f"PEGBOARD_{name}__{field}".upper(): ", ".join(value) if isinstance(value, list) else str(value)
        for name, section in sections.items()
        for field, value in msgspec.to_builtins(section).items()
    }

    config = read(tmp_path_factory.getbasetemp(), {}, environ)

    assert {name: getattr(config, name) for name in sections} == sections


@given(document=st.dictionaries(KEY, VALUE, min_size=1, max_size=5))
def test_every_keys_line_is_found(document: dict[str, Any]):
    text = tomlkit.dumps(document)
    source = Source(Path("any.toml"), text, tomlkit.parse(text).unwrap())
    lines = text.split("\n")

    for key, value in document.items():
        number = source.line_of((key,))

        assert number is not None
        assert tomlkit.key(key).as_string() in lines[number - 1]
        if isinstance(value, dict):
            for inner in value:
                nested = source.line_of((key, inner))
                assert nested is not None
                assert nested >= number
