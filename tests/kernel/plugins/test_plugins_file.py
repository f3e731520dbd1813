"""`plugins.toml` is changed by one switch; what people wrote stays."""

import os
import threading
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.plugins.errors import PluginsFileUnwritable
from pegboard.plugins.plugins_file import FileEdit, edit_file, file_hash, with_enabled, with_keys

WRITTEN = """\
# Our marketplace.
[pegboard]
strict = true   # in CI too

# Money.
[plugins.finance]
enabled = true  # since 2026
platform_fee_bps = 1_000

[pegboard.http]
port = 8000

[plugins.governance]   # consent
enabled = false
"""


def switch(path: Path, name: str, enabled: bool) -> str:
    return edit_file(path, lambda text: with_enabled(text, {name: enabled}))


def test_one_switch_changes_and_comments_stay() -> None:
    changed = with_enabled(WRITTEN, {"finance": False})

    assert changed == WRITTEN.replace("enabled = true  # since 2026", "enabled = false  # since 2026")


def test_tables_in_any_order_are_found() -> None:
    assert with_enabled(WRITTEN, {"governance": True}) == WRITTEN.replace("enabled = false", "enabled = true")


def test_a_plugin_that_is_not_named_gets_a_table_at_the_end() -> None:
    assert with_enabled(WRITTEN, {"hello": True}) == f"{WRITTEN}\n[plugins.hello]\nenabled = true\n"
    assert with_enabled("", {"hello": True}) == "[plugins.hello]\nenabled = true\n"


@pytest.mark.parametrize(
    "text",
    [
        "[plugins]\nhello.enabled = false\n",
        "[plugins]\nhello = { enabled = false, name = 'x' }\n",
        "plugins.hello.enabled = false\n",
        "[plugins.hello]\nname = 'x'\n",
        "[plugins.hello.deeper]\nkey = 1\n",
    ],
)
def test_however_it_is_written_the_switch_is_set(text: str) -> None:
    before = tomllib.loads(text)["plugins"]["hello"]
    assert tomllib.loads(with_enabled(text, {"hello": True}))["plugins"]["hello"] == {**before, "enabled": True}


def test_a_switch_that_is_set_already_changes_no_byte() -> None:
    assert with_enabled(WRITTEN, {"finance": True}) is WRITTEN


NAMES = st.sampled_from(["finance", "governance", "hello", "ai_providers"])


@given(st.lists(st.tuples(NAMES, st.booleans()), max_size=8))
def test_any_series_of_switches_ends_as_the_last_of_each_says(switches: list[tuple[str, bool]]) -> None:
    text = WRITTEN
    for name, enabled in switches:
        text = with_enabled(text, {name: enabled})

    document, original = tomllib.loads(text), tomllib.loads(WRITTEN)
    assert document["pegboard"] == original["pegboard"]
    for name, enabled in dict(switches).items():
        assert document["plugins"][name] == {**original["plugins"].get(name, {}), "enabled": enabled}
    assert all(line in text for line in WRITTEN.splitlines() if line.startswith("#"))


def test_the_file_keeps_its_mode_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    path.write_text(WRITTEN)
    path.chmod(0o640)

    assert switch(path, "finance", False) == file_hash(path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["plugins.toml"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text(WRITTEN)
    link = tmp_path / "plugins.toml"
    link.symlink_to(real)

    switch(link, "finance", False)

    assert link.is_symlink()
    assert "enabled = false  # since 2026" in real.read_text()


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    path.write_text(WRITTEN)
    names = [f"plugin_{number}" for number in range(12)]
    writers = [threading.Thread(target=switch, args=(path, name, True)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    written = tomllib.loads(path.read_text())["plugins"]
    assert all(written[name] == {"enabled": True} for name in names)


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(PluginsFileUnwritable, match=r"plugins\.toml can't be written \(No such file"):
        switch(tmp_path / "plugins.toml", "finance", True)


def test_a_folder_that_is_not_writable_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    path.write_text(WRITTEN)
    tmp_path.chmod(0o500)
    user = os.geteuid()
    try:
        if user == 0:
            # Root may write everywhere.
            os.seteuid(65_534)
        with pytest.raises(PluginsFileUnwritable, match="Permission denied"):
            switch(path, "finance", False)
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)
    assert path.read_text() == WRITTEN


def test_a_file_that_is_not_toml_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    path.write_text("[plugins\n")

    with pytest.raises(PluginsFileUnwritable, match="can't be changed"):
        switch(path, "finance", True)
    assert path.read_text() == "[plugins\n"


def test_what_was_written_is_put_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    path.write_text(WRITTEN)
    with FileEdit(path, lambda text: with_enabled(text, {"finance": False, "hello": True})) as edit:
        assert path.read_text() == WRITTEN
        edit.write()
        assert edit.hash == file_hash(path)
        edit.put_back()
    assert path.read_text() == WRITTEN


def test_somebodys_edit_meanwhile_is_not_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    path.write_text(WRITTEN)
    with FileEdit(path, lambda text: with_enabled(text, {"finance": False})) as edit:
        edit.write()
        path.write_text("# Mine.\n")
        edit.put_back()
    assert path.read_text() == "# Mine.\n"


def test_a_writer_waits_until_the_one_before_has_decided(tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    path.write_text(WRITTEN)
    done = threading.Event()
    with FileEdit(path, lambda text: with_enabled(text, {"finance": False})) as edit:
        other = threading.Thread(target=lambda: (switch(path, "hello", True), done.set()))
        other.start()
        edit.write()
        edit.put_back()
        assert not done.is_set()
    other.join(10)
    assert path.read_text() == with_enabled(WRITTEN, {"hello": True})


def test_keys_are_set_and_taken_away_and_comments_stay() -> None:
    block = {"versions": ">=1.4,<1.4.3", "reason": "loses postings", "last_good": "1.3.9"}
    changed = with_keys(WRITTEN, "finance", {"pin": "sha256:ab", "blocked": [block]})

    assert tomllib.loads(changed)["plugins"]["finance"] == {
        "enabled": True, "platform_fee_bps": 1000, "pin": "sha256:ab", "blocked": [block],
    }  # fmt: skip
    assert all(line in changed for line in WRITTEN.splitlines())
    again = with_keys(changed, "finance", {"pin": None, "blocked": None})
    assert tomllib.loads(again) == tomllib.loads(WRITTEN)
    assert with_keys("", "hello", {"enabled": False, "pin": "sha256:ab"}) == (
        '[plugins.hello]\nenabled = false\npin = "sha256:ab"\n'
    )
