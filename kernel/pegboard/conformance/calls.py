"""Who calls whom inside a package, as far as its source tells.

Followed are functions, nested ones too, classes, and methods of `self` and of whatever a constructor, an annotation or
an attribute says the class of. What is only handed on, as `asyncio.to_thread(read)` hands on `read`, is not called.
"""

import ast
from collections.abc import Iterator, Sequence

import msgspec

from pegboard.conformance.source import Function, Source, own_nodes

__all__ = ("CallGraph", "Defined")


class Defined(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the package: `name` is its dotted name, `owner` that of the class whose method it is."""

    name: str
    node: Function
    source: Source
    owner: str


class CallGraph:
    """The functions of `sources` and their calls."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._modules = {source.module: source for source in sources}
        self._functions: dict[str, Defined] = {}
        self._classes: dict[str, tuple[Source, ast.ClassDef]] = {}
        for source in sources:
            self._define(source, source.tree.body, source.module, "")
        # One that is made of another's attribute is known where that one's class comes first.
        self._attributes: dict[str, dict[str, str]] = {}
        for name in self._classes:
            self._attributes[name] = dict(self._attributes_of(name))

    @property
    def functions(self) -> list[Defined]:
        """All functions and methods."""
        return list(self._functions.values())

    def calls(self, function: Defined) -> Iterator[tuple[ast.Call, Defined | None]]:
        """The calls in a function's own body, each with what is called, where that is of the package."""
        known = self._known(function)
        for node in own_nodes(function.node):
            if isinstance(node, ast.Call):
                yield node, self._called(node.func, function, known)

    def _define(self, source: Source, body: Sequence[ast.AST], prefix: str, owner: str) -> None:
        for node in body:
            if isinstance(node, Function):
                name = f"{prefix}.{node.name}"
                self._functions[name] = Defined(name=name, node=node, source=source, owner=owner)
                self._define(source, node.body, name, owner)
            elif isinstance(node, ast.ClassDef):
                name = f"{prefix}.{node.name}"
                self._classes[name] = source, node
                self._define(source, node.body, name, name)
            else:
                # Also those in `if`, `try` and `with`.
                self._define(source, list(ast.iter_child_nodes(node)), prefix, owner)

    def _attributes_of(self, owner: str) -> Iterator[tuple[str, str]]:
        """The classes of a class's attributes."""
        source, node = self._classes[owner]
        for statement in node.body:
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and (found := self._class_named(statement.annotation, source))
            ):
                yield statement.target.id, found
        for method in self._functions.values():
            if method.owner == owner:
                known = self._known(method)
                for target, value in _assignments(method.node):
                    if (
                        isinstance(target, ast.Attribute)
                        and _is_self(target.value)
                        and (found := self._class_of(value, method, known))
                    ):
                        yield target.attr, found

    def _known(self, function: Defined) -> dict[str, str]:
        """The classes of a function's arguments and variables."""
        given = function.node.args
        known: dict[str, str] = {}
        for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs):
            if found := self._class_named(argument.annotation, function.source):
                known[argument.arg] = found
        for target, value in _assignments(function.node):
            if isinstance(target, ast.Name) and (found := self._class_of(value, function, known)):
                known[target.id] = found
        return known

    def _class_named(self, annotation: ast.expr | None, source: Source) -> str | None:
        """The class of the package that an annotation names; of `X | None` it is X."""
        if isinstance(annotation, ast.BinOp):
            return self._class_named(annotation.left, source) or self._class_named(annotation.right, source)
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            try:
                annotation = ast.parse(annotation.value, mode="eval").body
            except SyntaxError:
                return None
        return self._class(self._full(annotation, source)) if annotation is not None else None

    def _class_of(self, value: ast.expr, function: Defined, known: dict[str, str]) -> str | None:
        """The class of an expression's value."""
        if isinstance(value, ast.Await):
            return self._class_of(value.value, function, known)
        if isinstance(value, ast.Name):
            return function.owner if value.id == "self" and function.owner else known.get(value.id)
        if isinstance(value, ast.Attribute):
            owner = self._class_of(value.value, function, known)
            return self._attribute(owner, value.attr) if owner else None
        if isinstance(value, ast.Call):
            if made := self._class(self._full(value.func, function.source)):
                return made
            called = self._called(value.func, function, known)
            return self._class_named(called.node.returns, called.source) if called is not None else None
        return None

    def _attribute(self, owner: str, name: str) -> str | None:
        lineage = [self._attributes.get(one, {}) for one in self._lineage(owner)]
        return next((attributes[name] for attributes in lineage if name in attributes), None)

    def _called(self, func: ast.expr, function: Defined, known: dict[str, str]) -> Defined | None:
        if isinstance(func, ast.Attribute):
            value = func.value
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "super":
                return self._method(self._lineage(function.owner)[1:], func.attr)
            if _is_self(value) and function.owner:
                return self._method(self._lineage(function.owner), func.attr)
            if owner := self._class_of(value, function, known):
                return self._method(self._lineage(owner), func.attr)
        elif isinstance(func, ast.Name):
            scope = function.name
            while scope != function.source.module:
                if scope not in self._classes and (found := self._functions.get(f"{scope}.{func.id}")):
                    return found
                scope = scope.rpartition(".")[0]
        name = self._full(func, function.source)
        if made := self._class(name):
            return self._method(self._lineage(made), "__init__")
        return self._functions.get(self._resolved(name))

    def _method(self, lineage: Sequence[str], name: str) -> Defined | None:
        return next((self._functions[f"{one}.{name}"] for one in lineage if f"{one}.{name}" in self._functions), None)

    def _lineage(self, name: str) -> list[str]:
        """A class and its bases in the package, nearest first."""
        found: list[str] = []
        waiting = [name]
        while waiting:
            one = waiting.pop(0)
            if one in self._classes and one not in found:
                found.append(one)
                source, node = self._classes[one]
                waiting += [base for each in node.bases if (base := self._class(self._full(each, source)))]
        return found

    def _full(self, node: ast.AST, source: Source) -> str:
        """The dotted name of an expression; what is not imported is the module's own."""
        name = source.name_of(node)
        first = node
        while isinstance(first, ast.Attribute):
            first = first.value
        imported = isinstance(first, ast.Name) and first.id in source.aliases
        return name if imported or not name else f"{source.module}.{name}"

    def _class(self, name: str) -> str | None:
        resolved = self._resolved(name)
        return resolved if resolved in self._classes else None

    def _resolved(self, name: str) -> str:
        """A name through the modules that only import it, as packages offer what their modules define."""
        for _ in range(8):  # imports may go in a circle
            if name in self._functions or name in self._classes:
                return name
            module = name
            while module and module not in self._modules:
                module = module.rpartition(".")[0]
            first, _, rest = name[len(module) + 1 :].partition(".")
            alias = self._modules[module].aliases.get(first) if module else None
            if alias is None:
                return name
            name = f"{alias}.{rest}" if rest else alias
        return name


def _assignments(function: Function) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is assigned to, and what, in a function's own body."""
    for node in own_nodes(function):
        if isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield node.target, node.value


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")
