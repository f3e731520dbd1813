"""Every hook of the SDK is used by somebody real, and described where plugin writers look."""

import ast
import inspect
from pathlib import Path

import pytest
from pegboard.plugins.hooks import CLASSES, EXTENSION_PROTOCOLS, ITEMS, SINGLES
from pegboard_sdk import hookspecs

ROOT = Path(__file__).parents[2]
PLUGINS = [*ROOT.glob("plugins/*/*/plugin.py"), ROOT / "tests/contracts/thirdparty/pegboard_hello/plugin.py"]
REFERENCE = ROOT / "docs" / "reference" / "hooks.md"
HOOKS = sorted(name for name, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec"))


def implemented(plugin: Path) -> set[str]:
    """The hooks that a plugin's module implements."""
    return {
        node.name
        for node in ast.parse(plugin.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "hookimpl" for mark in node.decorator_list)
    }


def test_hooks_are_found() -> None:
    assert {"controllers", "jobs", "on_startup"} <= set(HOOKS)
    assert len(PLUGINS) == 6


@pytest.mark.parametrize("hook", HOOKS)
def test_somebody_uses_it(hook: str) -> None:
    assert any(hook in implemented(plugin) for plugin in PLUGINS)


@pytest.mark.parametrize("hook", HOOKS)
def test_it_is_documented_and_typed(hook: str) -> None:
    spec = getattr(hookspecs, hook)

    assert inspect.getdoc(spec)
    assert spec.__annotations__["return"]
    assert list(inspect.signature(spec).parameters) == ["context"]


@pytest.mark.parametrize("hook", HOOKS)
def test_the_kernel_checks_what_it_returns(hook: str) -> None:
    assert hook in {*CLASSES, *ITEMS, *SINGLES, *EXTENSION_PROTOCOLS}


@pytest.mark.parametrize("hook", HOOKS)
def test_it_is_in_the_reference(hook: str) -> None:
    assert f"`{hook}`" in REFERENCE.read_text()
