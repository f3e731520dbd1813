"""A plugin's source, read without running it."""

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

__all__ = ("Function", "Source", "own_nodes")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source:
    """One Python file. `shown` is its path as findings name it, `module` what it is imported as.

    Raises:
        SyntaxError: it isn't Python.
    """

    def __init__(self, path: Path, shown: str, module: str) -> None:
        self.path = path
        self.shown = shown
        self.module = module
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text, filename=shown)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of its syntax tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What imported names stand for: `from time import sleep as nap` gives `nap` → `time.sleep`."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                base = self._absolute(node)
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{base}.{alias.name}"
        return found

    def imports(self) -> Iterator[tuple[int, str]]:
        """Every module that it imports, anywhere, with the line; also by `importlib.import_module("…")`."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node.lineno, self._absolute(node)
            elif isinstance(node, ast.Call) and self.name_of(node.func) in ("importlib.import_module", "__import__"):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value[:1] != ".":
                    yield node.lineno, first.value

    def imported_names(self) -> Iterator[tuple[int, str]]:
        """As `imports`, and each name that is imported from a module, as it may be a module too."""
        yield from self.imports()
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom):
                yield from ((node.lineno, f"{self._absolute(node)}.{alias.name}") for alias in node.names)

    def calls(self) -> Iterator[tuple[int, str]]:
        """The names of all functions that it calls."""
        for node in self.nodes:
            if isinstance(node, ast.Call):
                yield node.lineno, self.name_of(node.func)

    def reaches_around(self, name: str) -> Iterator[tuple[int, str]]:
        """Where something private, or the connection, of an object named `name` or `_name` is used."""
        for node in self.nodes:
            if isinstance(node, ast.Attribute) and (node.attr[:1] == "_" or node.attr == "connection"):
                owner = node.value
                held = (
                    owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
                )
                if held.lstrip("_") == name:
                    yield node.lineno, ast.unparse(node)

    def name_of(self, node: ast.AST) -> str:
        """The dotted name of what an expression names, with imports resolved; empty where it isn't a name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join((self.aliases.get(node.id, node.id), *reversed(parts)))

    def functions(self) -> Iterator[Function]:
        """All functions and methods, nested ones too."""
        for node in self.nodes:
            if isinstance(node, Function):
                yield node

    @cached_property
    def docstrings(self) -> set[int]:
        """The ids of the nodes that are docstrings, or strings that stand alone."""
        return {
            id(node.value) for node in self.nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }

    def strings(self) -> Iterator[tuple[int, str]]:
        """Every literal text that isn't a docstring, with its line; also the literal parts of f-strings."""
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in self.docstrings:
                yield node.lineno, node.value

    def at_import(self) -> Iterator[ast.AST]:
        """What is evaluated when the module is imported: all but the bodies of functions, and what is only for type
        checkers or for running the file as a program.
        """
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            node = waiting.pop()
            yield node
            if isinstance(node, Function):
                waiting += [*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d)]
            elif isinstance(node, ast.Lambda):
                continue
            elif isinstance(node, ast.If) and self._is_set_aside(node.test):
                waiting += node.orelse
            else:
                waiting += ast.iter_child_nodes(node)

    def _is_set_aside(self, test: ast.expr) -> bool:
        if isinstance(test, ast.Compare):
            return self.name_of(test.left) == "__name__"
        return self.name_of(test).rpartition(".")[2] == "TYPE_CHECKING"

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.module.split(".")
        if self.path.name != "__init__.py":
            package.pop()
        base = package[: len(package) - node.level + 1]
        return ".".join((*base, *([node.module] if node.module else ())))


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What runs when a function runs: its body without the bodies of functions that it defines."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
