"""SQL in the code."""

import ast
import re
from collections.abc import Iterator

from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.conformance.source import Source, own_nodes

__all__ = ("RULES",)

_BODY = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*")
_TRANSACTION = re.compile(
    r"(?:^|;)\s*(?P<said>(?:BEGIN|COMMIT|ROLLBACK|END|ABORT|START\s+TRANSACTION|SAVEPOINT\s+\w+|PREPARE\s+TRANSACTION"
    r"|(?:RE)?SET\s+(?:LOCAL\s+|SESSION\s+)?(?:ROLE|AUTHORIZATION|TRANSACTION|search_path|row_security|application_name)"
    r"|ALTER\s+ROLE|SET\s+SESSION\s+AUTHORIZATION|LISTEN|NOTIFY)\b)(?=\s*(?:;|$)|\s+\S)"
)
_STATEMENT = re.compile(r"^\s*(?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|WITH|MERGE)\s", re.IGNORECASE)
_CONSTANT = re.compile(r"^_*[A-Z][A-Z0-9_]*$")


def _no_transactions(project: Project) -> Iterator[Finding]:
    for source in (*project.sources, *project.migration_sources):
        for line, text in source.strings():
            match = _TRANSACTION.search(_COMMENT.sub("", _BODY.sub("", text)))
            if match is not None and (match["said"].strip() == text.strip(" ;") or " " in text.strip()):
                yield Finding(f"says {' '.join(match['said'].split())}", source.shown, line)


def _parameters(project: Project) -> Iterator[Finding]:
    # Values of requests come by way of async functions; what is put together elsewhere are statements' own parts.
    for source in project.sources:
        for function in source.functions():
            if isinstance(function, ast.AsyncFunctionDef):
                for node in own_nodes(function):
                    yield from _put_in(source, node)


def _put_in(source: Source, node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, ast.JoinedStr) and _is_statement(node):
        for part in node.values:
            if isinstance(part, ast.FormattedValue) and not _is_fixed(part.value):
                yield Finding(f"puts {ast.unparse(part.value)} into SQL", source.shown, part.lineno)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        if _is_statement(node.left) and not _is_fixed(node.right):
            yield Finding(f"puts {ast.unparse(node.right)} into SQL", source.shown, node.lineno)
    elif _is_format(node):
        yield Finding("puts values into SQL with str.format", source.shown, getattr(node, "lineno", 0))


def _is_format(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr == "format" and _is_statement(called.value)


def _is_fixed(value: ast.expr) -> bool:
    """Whether it is a constant of a module or class: text that the code's author wrote."""
    if isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.Call):
        given = [*value.args, *(keyword.value for keyword in value.keywords)]
        return isinstance(value.func, ast.Name) and bool(given) and all(_is_fixed(one) for one in given)
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    return _CONSTANT.match(name) is not None


def _is_statement(node: ast.expr) -> bool:
    while isinstance(node, ast.BinOp):
        node = node.left
    if isinstance(node, ast.JoinedStr):
        node = node.values[0] if node.values else node
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value) is not None


RULES = (
    Rule(
        id="sql.no_transactions",
        tier="bronze",
        title="It neither begins nor ends transactions, nor changes who it is to the database",
        why="The kernel commits once an answer is ready, and rolls back everything when it isn't; and the role and the"
        " tenant of a connection are what keeps tenants apart.",
        fix="Leave transactions to the kernel; `uow.savepoint()` undoes a part, `uow.step()` opens one where the route"
        " or job calls out.",
        needs="files",
        check=_no_transactions,
    ),
    Rule(
        id="sql.parameters",
        tier="bronze",
        title="Values reach SQL as parameters",
        why="Text that is put into a statement is run as SQL, whoever sent it.",
        fix="Write $1 in the statement and give the value as an argument. What differs between statements may be a"
        " constant of a module, in capital letters.",
        needs="files",
        check=_parameters,
    ),
)
