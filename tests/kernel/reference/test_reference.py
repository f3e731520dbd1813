"""The reference holds everything that Pegboard declares, and is what the code says."""

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from pegboard.cli import main
from pegboard.config.model import Config
from pegboard.config.sso import SsoProvider
from pegboard.reference.build import make_pages, stale_pages, write_pages
from pegboard.reference.hooks import hook_names
from pegboard.reference.http import make_document
from pegboard.reference.settings import configuration_page
from pegboard.reference.shapes import default_of, fields_of, type_of
from pegboard.reference.subject import Subject, read_subject
from pegboard.web import problems
from pegboard_sdk import hookspecs
from pegboard_sdk.errors import DomainError
from pegboard_sdk.settings import Secret

from tests.support.servers import BUILT_IN

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def subject() -> Subject:
    return read_subject()


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return make_pages(main)


def test_it_is_about_the_kernel_and_the_built_in_plugins(subject: Subject) -> None:
    assert [plugin.name for plugin in subject.plugins] == ["kernel", *sorted(BUILT_IN)]


def test_the_written_pages_are_what_the_code_says(pages: dict[str, str]) -> None:
    assert stale_pages(FOLDER, pages) == []


def test_writing_it_twice_gives_the_same(pages: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("PEGBOARD_HTTP__PORT", "1234")
    monkeypatch.setenv("PEGBOARD_PLUGINS__FINANCE__ENABLED", "false")
    assert make_pages(main) == pages


def test_it_says_nothing_of_the_machine(pages: dict[str, str]) -> None:
    for text in pages.values():
        assert str(ROOT) not in text
        assert str(Path.home()) + "/" not in text


def test_every_hook_is_in_it(pages: dict[str, str]) -> None:
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")]
    assert sorted(hooks) == hook_names()
    for hook in hooks:
        assert f"## `{hook}`\n" in pages["hooks.md"]
        summary = " ".join((inspect.getdoc(getattr(hookspecs, hook)) or "").split("\n\n")[0].split())
        assert summary in pages["hooks.md"]


def test_a_hook_is_implemented_by_who_is_named(pages: dict[str, str]) -> None:
    example = ROOT / "tests" / "contracts" / "thirdparty" / "pegboard_hello" / "plugin.py"
    functions = {node.name for node in ast.parse(example.read_text()).body if isinstance(node, ast.FunctionDef)}
    for section in pages["hooks.md"].split("\n## ")[1:]:
        hook = section.partition("\n")[0].strip("`")
        names = re.findall(r"\[([a-z_]+)\]\(\.\./\.\./plugins/", section)
        for name in names:
            text = (ROOT / "plugins" / name / f"pegboard_{name}" / "plugin.py").read_text()
            assert f"def {hook}(" in text
        assert names or hook in functions


def test_every_permission_is_in_it_with_its_roles(pages: dict[str, str], subject: Subject) -> None:
    rows = {
        line.split(" | ")[0].strip("|` "): line.split(" | ")[-1].rstrip(" |").split(", ")
        for line in pages["permissions.md"].splitlines()
        if line.startswith("| `")
    }
    assert rows.keys() == subject.registry.permissions.keys()
    for role, permissions in subject.registry.role_permissions.items():
        for permission in permissions:
            assert role in rows[permission]


def test_every_event_is_in_it_with_its_fields(pages: dict[str, str], subject: Subject) -> None:
    sections = {section.partition("`")[0]: section for section in pages["events.md"].split("\n### `")[1:]}
    events = [event for plugin in subject.plugins for event in plugin.events]
    assert sections.keys() == {event.name for event in events}
    for event in events:
        assert f"Version {event.version}. " in sections[event.name]
        for field in fields_of(event):
            assert f"| `{field.encode_name}` | " in sections[event.name]


def test_every_listener_is_named(pages: dict[str, str], subject: Subject) -> None:
    sections = {section.partition("`")[0]: section for section in pages["events.md"].split("\n### `")[1:]}
    handlers = [(event, one.name) for event, several in subject.registry.event_handlers.items() for one in several]
    assert handlers
    for event, handler in handlers:
        assert f"{subject.registry.owners[f'{event}/{handler}']} (`{handler}`)" in sections[event]


def test_every_setting_is_in_it(pages: dict[str, str], subject: Subject) -> None:
    assert {"finance", "ai_providers"} <= subject.settings.keys()
    for plugin, struct in subject.settings.items():
        section = pages["settings.md"].split(f"## `[plugins.{plugin}]`\n")[1].split("\n## ")[0]
        for field in fields_of(struct):
            assert f"| `{field.name}` | " in section
            assert f"`PEGBOARD_{plugin.upper()}__{field.name.upper()}`" in section


def test_every_setting_of_the_kernel_is_in_it() -> None:
    text = configuration_page()
    for field in msgspec.structs.fields(Config):
        if isinstance(field.default, msgspec.Struct):
            section = text.split(f"## `[pegboard.{field.name}]`\n")[1].split("\n## ")[0]
            for name in field.default.__struct_fields__:
                assert f"| `{name}` | " in section
                assert f"`PEGBOARD_{field.name.upper()}__{name.upper()}`" in section
        elif field.name == "sso":
            section = text.split("## `[pegboard.sso.<name>]`\n")[1]
            for name in SsoProvider.__struct_fields__:
                assert f"| `{name}` | " in section
                assert f"`PEGBOARD_SSO__<NAME>__{name.upper()}`" in section
        elif field.name not in ("path", "plugins"):
            assert f"`PEGBOARD_{field.name.upper()}`" in text


def test_what_the_file_says_beside_a_setting_is_its_meaning() -> None:
    text = configuration_page()
    assert "| seconds that a request waits for a connection | `PEGBOARD_DATABASE__ACQUIRE_TIMEOUT` |" in text


def test_every_problem_s_code_is_in_it(pages: dict[str, str]) -> None:
    packages = ("pegboard", "pegboard_sdk", *(f"pegboard_{plugin}" for plugin in BUILT_IN))
    modules = [
        importlib.import_module(module.name)
        for package in packages
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
        if not module.name.endswith("__main__")
    ]
    errors = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, DomainError) and "code" in vars(value)
    }
    assert len(errors) > 40
    missing = {error.code for error in errors if f"| `{error.code}` | {error.status} |" not in pages["http.md"]}
    assert missing - {DomainError.code} == set()


def test_every_operation_is_in_it(pages: dict[str, str], subject: Subject) -> None:
    document, declared = make_document(subject)
    operations = {
        (path, method): operation for path, item in document["paths"].items() for method, operation in item.items()
    }
    assert operations.keys() == declared.keys()
    sections = {section.partition("`")[0]: section for section in pages["http.md"].split("\n### `")[1:]}
    assert sections.keys() == {f"{method.upper()} {path}" for path, method in operations}
    for (path, method), operation in operations.items():
        section, route = sections[f"{method.upper()} {path}"], declared[path, method]
        assert f"`{operation['operationId']}`" in section
        assert (f"permission `{route.permission}`" if route.permission else " public ") in section
        assert ("**Idempotency-Key required**" in section) == (route.idempotency == "required")
        for error in route.errors:
            assert f"{error.status} `{error.code}`" in section
            assert f"| `{error.code}` | {error.status} | " in pages["http.md"]


def test_every_problem_that_the_kernel_makes_itself_is_in_it(pages: dict[str, str]) -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(problems))) if isinstance(node, ast.Call)]
    codes = [
        call.args[1].value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "_made" and isinstance(call.args[1], ast.Constant)
    ]
    assert "timeout" in codes
    for code in codes:
        assert f"| `{code}` | " in pages["http.md"]


def test_every_command_is_in_it(pages: dict[str, str]) -> None:
    for module in (ROOT / "kernel" / "pegboard" / "cli").glob("[a-z]*.py"):
        assert f"## `pegboard {module.stem.replace('_', '-')}`\n" in pages["cli.md"]
    assert "\n### `pegboard plugins enable`\n" in pages["cli.md"]
    assert "  --check" in pages["cli.md"].split("### `pegboard docs build`")[1]


def test_check_names_the_file_that_differs(tmp_path: Path, pages: dict[str, str]) -> None:
    assert write_pages(tmp_path, pages) == sorted(pages)
    runner = CliRunner()
    assert runner.invoke(main, ["docs", "build", "--check", str(tmp_path)]).exit_code == 0

    (tmp_path / "hooks.md").write_text(pages["hooks.md"].replace("## `jobs`\n", ""), encoding="utf-8")
    (tmp_path / "events.md").unlink()
    before = (tmp_path / "hooks.md").read_text()
    refused = runner.invoke(main, ["docs", "build", "--check", str(tmp_path)])
    assert refused.exit_code == 1
    assert f"{tmp_path / 'hooks.md'}: " in refused.stderr
    assert f"{tmp_path / 'events.md'}: " in refused.stderr
    assert "permissions.md" not in refused.stderr
    assert (tmp_path / "hooks.md").read_text() == before

    assert runner.invoke(main, ["docs", "build", str(tmp_path)]).exit_code == 0
    assert stale_pages(tmp_path, pages) == []


def test_a_folder_that_cant_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = CliRunner().invoke(main, ["docs", "build", str(tmp_path / "file" / "below")])
    assert refused.exit_code == 2
    assert refused.stderr.startswith("pegboard: ")
    assert len(refused.stderr.splitlines()) == 1


class Sample(msgspec.Struct):
    count: int
    names: list[str] = []
    secret: Secret = Secret("")
    maybe: float | None = None


def test_types_and_defaults_in_words() -> None:
    described = [(type_of(field.type), default_of(field)) for field in fields_of(Sample)]
    assert described == [
        ("whole number", "required"),
        ("list of text", "`[]`"),
        ("secret text", '`""`'),
        ("number or nothing", "`null`"),
    ]
