"""Reads an API from a package's source. Nothing of it is imported, so that any version of it can be read."""

import ast
from collections.abc import Iterator
from pathlib import Path

from pegboard.reference.api.model import Api, Deprecation, Member, Parameter, Symbol

__all__ = ("read_api", "read_module")

_Function = ast.FunctionDef | ast.AsyncFunctionDef
# How a class works inside; nobody calls these.
_INTERNAL = frozenset({"__post_init__", "__slots__", "__test__", "__repr__", "__str__", "__hash__", "__eq__"})
_KEPT_MARKS = frozenset({"staticmethod", "classmethod", "runtime_checkable", "abstractmethod", "overload"})


def read_api(package: Path) -> Api:
    """The public API of a package: what the `__all__` of its public modules names, and its hooks.

    Raises:
        ValueError: `__all__` names something that the module doesn't define, or there is no `__version__`.
    """
    version = ""
    modules: dict[str, dict[str, Symbol]] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        name = ".".join(part for part in parts if part != "__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        symbols = read_module(tree, name)
        if path == package / "__init__.py":
            version = _text_of(tree, "__version__")
        if symbols:
            modules[name] = symbols
    if not version:
        raise ValueError(f"{package.name} has no __version__")
    return Api(version=version, modules=modules)


def read_module(tree: ast.Module, module: str) -> dict[str, Symbol]:
    """The public symbols of a module by name.

    Raises:
        ValueError: `__all__` names something that the module doesn't define.
    """
    bound = _bound(tree, module)
    structs: set[str] = set()
    symbols: dict[str, Symbol] = {}
    for name, node in bound.items():
        if isinstance(node, ast.ClassDef):
            symbols[name] = _class(node, structs)
        elif isinstance(node, _Function):
            symbols[name] = _function(node)
        elif isinstance(node, str):
            symbols[name] = Symbol(kind="name", value=node)
        else:
            symbols[name] = _value(node)
    public = set(_all(tree)) - {"__version__"}
    if missing := public - symbols.keys():
        raise ValueError(f"{module}.__all__ names {', '.join(sorted(missing))}, which is not there")
    hooks = {name for name, symbol in symbols.items() if symbol.kind == "hook"}
    return {name: symbols[name] for name in sorted(public | hooks)}


def _bound(tree: ast.Module, module: str) -> dict[str, ast.ClassDef | _Function | ast.Assign | ast.AnnAssign | str]:
    """What each name of the module is bound to: a definition, or the place that it is imported from."""
    found: dict[str, ast.ClassDef | _Function | ast.Assign | ast.AnnAssign | str] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef | _Function):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found.update({target.id: node for target in node.targets if isinstance(target, ast.Name)})
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
        elif isinstance(node, ast.ImportFrom):
            found.update({one.asname or one.name: f"{node.module or module}.{one.name}" for one in node.names})
    return found


def _class(node: ast.ClassDef, structs: set[str]) -> Symbol:
    bases = [ast.unparse(base) for base in node.bases]
    roots = {base.partition("[")[0] for base in bases}
    if "Protocol" in roots:
        kind = "protocol"
    elif "msgspec.Struct" in roots or roots & structs:
        kind = "struct"
        structs.add(node.name)
    else:
        kind = "class"
    return Symbol(
        kind=kind,
        bases=bases,
        options={keyword.arg or "**": ast.unparse(keyword.value) for keyword in node.keywords},
        members={name: member for name, member in _members(node, kind) if _is_public(name)},
        marks=_marks(node),
        deprecated=_deprecation(node),
    )


def _members(node: ast.ClassDef, kind: str) -> Iterator[tuple[str, Member]]:
    for part in node.body:
        if isinstance(part, _Function):
            marks = _marks(part)
            if any(ast.unparse(mark) == "property" for mark in part.decorator_list):
                yield part.name, Member(kind="property", type=_annotation(part.returns), deprecated=_deprecation(part))
            else:
                if isinstance(part, ast.AsyncFunctionDef):
                    marks = ["async", *marks]
                parameters = _parameters(part.args, own=1 if "staticmethod" not in marks else 0)
                yield (
                    part.name,
                    Member(
                        kind="method",
                        parameters=parameters,
                        type=_annotation(part.returns),
                        marks=marks,
                        deprecated=_deprecation(part),
                    ),
                )
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            annotation = ast.unparse(part.annotation)
            member_kind = "field" if kind == "struct" and not annotation.startswith("ClassVar") else "attribute"
            yield part.target.id, Member(kind=member_kind, type=annotation, value=_default(part.value))
        elif isinstance(part, ast.Assign):
            for target in part.targets:
                if isinstance(target, ast.Name):
                    yield target.id, Member(kind="attribute", value=ast.unparse(part.value))


def _function(node: _Function) -> Symbol:
    is_hook = any(ast.unparse(mark).partition("(")[0] == "hookspec" for mark in node.decorator_list)
    hook_marks = [ast.unparse(mark) for mark in node.decorator_list if ast.unparse(mark).startswith("hookspec(")]
    return Symbol(
        kind="hook" if is_hook else "function",
        parameters=_parameters(node.args),
        type=_annotation(node.returns),
        marks=[*(["async"] if isinstance(node, ast.AsyncFunctionDef) else []), *hook_marks, *_marks(node)],
        deprecated=_deprecation(node),
    )


def _value(node: ast.Assign | ast.AnnAssign) -> Symbol:
    annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
    return Symbol(kind="value", type=annotation, value=ast.unparse(node.value) if node.value is not None else "")


def _parameters(args: ast.arguments, own: int = 0) -> list[Parameter]:
    """The parameters without the first `own` ones (`self`)."""
    positional = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(args.defaults)) + list(args.defaults)
    found: list[Parameter] = []
    for index, (arg, default) in enumerate(zip(positional, defaults, strict=True)):
        kind = "positional" if index < len(args.posonlyargs) else "either"
        found.append(Parameter(arg.arg, kind, _annotation(arg.annotation), _default(default)))
    found = found[own:]
    if args.vararg is not None:
        found.append(Parameter(args.vararg.arg, "args", _annotation(args.vararg.annotation), ""))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append(Parameter(arg.arg, "keyword", _annotation(arg.annotation), _default(default)))
    if args.kwarg is not None:
        found.append(Parameter(args.kwarg.arg, "kwargs", _annotation(args.kwarg.annotation), ""))
    return found


def _annotation(node: ast.expr | None) -> str:
    """An annotation's text; one in quotes is the same as one without."""
    if node is None:
        return ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return ast.unparse(ast.parse(node.value, mode="eval").body)
    return ast.unparse(node)


def _default(node: ast.expr | None) -> str | None:
    return None if node is None else ast.unparse(node)


def _marks(node: ast.ClassDef | _Function) -> list[str]:
    return sorted({ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list} & _KEPT_MARKS)


def _deprecation(node: ast.ClassDef | _Function) -> Deprecation | None:
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func).rpartition(".")[2] == "deprecated":
            told = {one.arg: one.value.value for one in mark.keywords if isinstance(one.value, ast.Constant)}
            return Deprecation(str(told["since"]), str(told["removal"]), str(told["use"]))
    return None


def _all(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def _text_of(tree: ast.Module, name: str) -> str:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return str(ast.literal_eval(node.value))
    return ""


def _is_public(name: str) -> bool:
    if name.startswith("__"):
        return name not in _INTERNAL
    return not name.startswith("_")
