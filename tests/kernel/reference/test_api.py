"""What breaks plugins is told from what doesn't, and the version has to say which it was."""

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner
from pegboard.cli import main
from pegboard.reference.api.compare import KERNEL_MADE, compare
from pegboard.reference.api.model import Api
from pegboard.reference.api.read import read_api, read_module
from pegboard.reference.api.versions import latest_release, overdue, record_release, records, version_problems
from pegboard.reference.sdk import read_sdk, sdk_page

HEAD = '__all__ = ("Thing",)\n'


def api(source: str, version: str = "1.0.0", module: str = "pegboard_sdk.things", head: str = HEAD) -> Api:
    return Api(version=version, modules={module: read_module(ast.parse(head + source), module)})


def changes(old: str, new: str, module: str = "pegboard_sdk.things") -> list[tuple[str, str]]:
    return [(change.level, str(change)) for change in compare(api(old, module=module), api(new, module=module))]


FUNCTION = "def Thing(a: int, b: str = 'x', *, c: int = 1) -> int | str: ..."
STRUCT = "class Thing(msgspec.Struct, frozen=True):\n    a: int\n    b: str = ''"
KEYWORDS = "class Thing(msgspec.Struct, frozen=True, kw_only=True):\n    a: int\n    b: str = ''"
PROTOCOL = "class Thing(Protocol):\n    async def go(self, a: int) -> int: ..."
ERROR = "class Thing(DomainError):\n    code = 'thing'"
HOOK = "Thing = 1\n@hookspec\ndef things(context: PluginContext) -> 'Sequence[Old]': ..."


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (FUNCTION, "class Thing: ...", "was a function and is a class"),
        (FUNCTION, FUNCTION.replace("def", "async def"), "was plain and is async"),
        (FUNCTION, FUNCTION.replace("a: int, ", ""), "has no parameter a any more"),
        (FUNCTION, FUNCTION.replace("c: int", "d: int"), "has no parameter c any more"),
        (FUNCTION, FUNCTION.replace("a: int", "a: int, z: int"), "has a new required parameter z"),
        (FUNCTION, FUNCTION.replace("c: int = 1", "c: int = 1, d: int"), "has a new required parameter d"),
        (FUNCTION, FUNCTION.replace("a: int, b: str = 'x'", "b: str = 'x', a: int = 0"), "in another order: b, a"),
        (FUNCTION, FUNCTION.replace("a: int", "z: int = 0, a: int = 0"), "in another order"),
        (FUNCTION, FUNCTION.replace("a: int", "a: float"), "takes a as float and took int"),
        (FUNCTION, FUNCTION.replace("'x'", "'y'"), "has 'y' as the default for b, and had 'x'"),
        (FUNCTION, FUNCTION.replace("c: int = 1", "c: int"), "requires c now"),
        (FUNCTION, FUNCTION.replace("b: str = 'x', *,", "*, b: str = 'x',"), "takes b as keyword"),
        (FUNCTION, FUNCTION.replace("int | str", "int | str | None"), "returns int | str | None"),
        (STRUCT, STRUCT.replace("\n    a: int", ""), "Thing.a was removed"),
        (STRUCT, STRUCT.replace("a: int", "a: str"), "was of type int and is of str"),
        (STRUCT, STRUCT.replace("''", "'x'"), "was '' by default and is 'x'"),
        (STRUCT, STRUCT.replace(" = ''", ""), "is required now"),
        (STRUCT, STRUCT + "\n    c: int", "Thing.c is new and required"),
        (STRUCT, STRUCT.replace("    b", "    z: int = 0\n    b"), "in another order: a, z, b"),
        (STRUCT, STRUCT.replace("frozen=True", "frozen=True, kw_only=True"), "was declared with frozen=True and is"),
        (PROTOCOL, PROTOCOL + "\n    def stop(self) -> None: ...", "whoever implements the protocol lacks it"),
        (PROTOCOL, PROTOCOL.replace("a: int", "a: int, b: int = 0"), "which implementations don't take"),
        (PROTOCOL, PROTOCOL.replace("go", "run"), "Thing.go was removed"),
        (PROTOCOL, PROTOCOL.replace("async def", "def"), "was async and is plain"),
        (ERROR, ERROR.replace("'thing'", "'other'"), "was 'thing' by default and is 'other'"),
        (ERROR, ERROR.replace("DomainError", "Exception"), "is no DomainError any more"),
        ("Thing = 1", "Thing = 2", "was 1 and is 2"),
        (HOOK, "Thing = 1", "things was removed"),
        (HOOK, HOOK.replace("Sequence[Old]", "Sequence[New]"), "returns Sequence[New]"),
        (HOOK, HOOK.replace("@hookspec", "@hookspec(firstresult=True)"), "was plain and is hookspec(firstresult=True)"),
    ],
)  # fmt: skip
def test_what_breaks_plugins(old: str, new: str, says: str) -> None:
    found = changes(old, new)

    assert any(level == "breaking" and says in text for level, text in found), found
    assert version_problems(api(old), api(new, "1.1.0"))
    assert version_problems(api(old), api(new, "2.0.0")) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (FUNCTION, FUNCTION.replace("c: int = 1", "c: int = 1, d: int = 2"), "has a new parameter d"),
        (FUNCTION, FUNCTION.replace("b: str = 'x'", "b: str = 'x', z: int = 0"), "has a new parameter z"),
        (FUNCTION, FUNCTION.replace("a: int", "a: int | None"), "takes a as int | None"),
        (FUNCTION, FUNCTION.replace("a: int", "a: int = 0"), "has a default for a now"),
        (FUNCTION, FUNCTION.replace("int | str", "int"), "returns int"),
        (STRUCT, STRUCT + "\n    c: int = 0", "Thing.c is new"),
        (KEYWORDS, KEYWORDS.replace("    a", "    z: int = 0\n    a"), "Thing.z is new"),
        (HOOK, HOOK.replace("Sequence[Old]", "Sequence[Old | New]"), "returns Sequence[Old | New]"),
        (HOOK, HOOK + HOOK.partition("\n")[2].replace("things", "others").join(("\n", "")), "others is new"),
        (
            FUNCTION,
            f"@deprecated(since='1.1', removal='2.0', use='Other')\n{FUNCTION}",
            "is deprecated until 2.0: Other",
        ),
    ],
)
def test_what_adds(old: str, new: str, says: str) -> None:
    found = changes(old, new)

    assert [level for level, _ in found] == ["additive"], found
    assert says in found[0][1]
    assert version_problems(api(old), api(new, "1.0.1"))
    assert version_problems(api(old), api(new, "1.1.0")) == []


def test_what_only_the_kernel_implements_may_grow() -> None:
    module = "pegboard_sdk.work"
    old = PROTOCOL.replace("Thing", "UnitOfWork")
    new = old.replace("a: int", "a: int, b: int = 0") + "\n    def stop(self) -> None: ..."

    head = '__all__ = ("UnitOfWork",)\n'

    found = compare(api(old, module=module, head=head), api(new, module=module, head=head))

    assert [change.level for change in found] == ["additive", "additive"]


def test_what_is_not_public_may_change() -> None:
    assert changes(f"{FUNCTION}\ndef other(a): ...", FUNCTION) == []
    assert changes("class Thing:\n    def _own(self): ...", "class Thing: ...") == []
    assert changes("def Thing(a: 'int'): ...", "def Thing(a: int): ...") == []


def test_what_is_named_and_not_there_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="names Thing, which is not there"):
        api("other = 1")


def test_a_version_never_goes_down_and_a_release_is_recorded_once(tmp_path: Path) -> None:
    assert latest_release(tmp_path) is None
    for version in ("1.9.0", "1.10.0"):
        assert record_release(tmp_path, api(STRUCT, version)).name == f"{version}.json"

    assert latest_release(tmp_path) == api(STRUCT, "1.10.0")
    with pytest.raises(ValueError, match="never goes down"):
        record_release(tmp_path, api(STRUCT, "1.9.1"))
    with pytest.raises(ValueError, match=r"Make it 1\.11\.0"):
        record_release(tmp_path, api(STRUCT + "\n    c: int = 0", "1.10.0"))


def test_what_is_deprecated_is_gone_in_the_version_that_was_named() -> None:
    source = f"@deprecated(since='1.1', removal='2.0', use='Other')\n{FUNCTION}"

    assert overdue(api(source, "1.9.0")) == []
    assert overdue(api(source, "2.0.0")) == [
        "pegboard_sdk.things.Thing was to be gone from version 2.0 on, and this is 2.0.0: remove it"
    ]
    listed = sdk_page(
        api(source.replace("Thing", "Job"), module="pegboard_sdk.jobs", head='__all__ = ("Job",)\n'), None
    )
    assert "| `pegboard_sdk.jobs.Job` | 1.1 | 2.0 | Other |" in listed


def test_the_sdk_keeps_what_was_released() -> None:
    released = latest_release(records())

    assert released is not None
    assert version_problems(released, read_sdk()) == []


def test_what_the_kernel_makes_is_there() -> None:
    modules = read_sdk().modules
    for name in KERNEL_MADE:
        module, _, protocol = name.rpartition(".")
        assert modules[module][protocol].kind == "protocol"


def test_every_public_name_is_on_the_page() -> None:
    sdk = read_sdk()
    page = sdk_page(sdk, None)

    for module, symbols in sdk.modules.items():
        section = page.split(f"## `{module}`\n")[1].split("\n## ")[0]
        for name, symbol in symbols.items():
            if symbol.kind != "hook":
                assert f"### `{name}`\n" in section or f"`{name}`" in section, name
    assert "Offered by finance" in page
    assert "outbound_hosts" in page


def test_a_change_that_the_version_does_not_say_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk = read_sdk()
    more = {**sdk.modules, "pegboard_sdk.gone": api(STRUCT).modules["pegboard_sdk.things"]}
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    monkeypatch.setattr("pegboard.reference.api.versions.project_root", lambda: tmp_path)
    record_release(records(), Api(version=sdk.version, modules=more))

    checked = CliRunner().invoke(main, ["docs", "build", "--check", str(tmp_path)])
    recorded = CliRunner().invoke(main, ["docs", "record-sdk"])

    for result in (checked, recorded):
        assert result.exit_code in (1, 2)
        assert "pegboard_sdk.gone.Thing was removed: that breaks plugins" in result.stderr


def test_a_package_is_read_without_being_imported(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "__init__.py").write_text('raise SystemExit\n__version__ = "3.0.0"\n')
    (tmp_path / "made" / "things.py").write_text(HEAD + STRUCT)
    (tmp_path / "made" / "_own.py").write_text(HEAD + STRUCT)

    read = read_api(tmp_path / "made")

    assert (read.version, list(read.modules)) == ("3.0.0", ["made.things"])
