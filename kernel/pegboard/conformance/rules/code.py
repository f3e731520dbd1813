"""How the code behaves in a process that it shares with everything else."""

import ast
from collections.abc import Iterator

from pegboard.conformance.calls import CallGraph, Defined
from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule

__all__ = ("RULES",)

_AT_IMPORT = (
    "asyncio.get_event_loop", "asyncio.new_event_loop", "asyncio.run", "concurrent.futures.", "httpx.", "io.open",
    "multiprocessing.", "open", "os.environ", "os.getenv", "os.listdir", "os.scandir", "os.system", "os.walk",
    "requests.", "socket.", "subprocess.", "threading.Thread", "threading.Timer", "time.sleep", "urllib.request.",
)  # fmt: skip
_FILE_METHODS = frozenset({"read_bytes", "read_text", "write_bytes", "write_text", "iterdir", "glob", "rglob", "mkdir"})
_BLOCKING = (
    "http.client.", "input", "io.open", "open", "os.popen", "os.system", "os.wait", "psycopg.connect", "psycopg2.",
    "requests.", "shutil.", "smtplib.", "socket.create_connection", "socket.getaddrinfo", "socket.gethostbyname",
    "subprocess.", "time.sleep", "urllib.request.", "urllib3.",
)  # fmt: skip


def _parses(project: Project) -> Iterator[Finding]:
    try:
        _ = (project.sources, project.migration_sources)
    except SyntaxError as error:
        yield Finding(f"is not Python: {error.msg}", str(error.filename), error.lineno or 0)


def _quiet_import(project: Project) -> Iterator[Finding]:
    for source in project.sources:
        for node in source.at_import():
            name = source.name_of(node.func if isinstance(node, ast.Call) else node)
            if isinstance(node, ast.Call):
                if _matches(name, _AT_IMPORT) or name.rpartition(".")[2] in _FILE_METHODS:
                    yield Finding(f"calls {name} when it is imported", source.shown, _line(node))
            elif isinstance(node, ast.Subscript) and source.name_of(node.value) == "os.environ":
                yield Finding("reads os.environ when it is imported", source.shown, _line(node))


def _no_blocking(project: Project) -> Iterator[Finding]:
    graph = CallGraph(project.sources)
    seen: set[tuple[str, int, str]] = set()
    for function in graph.functions:
        if not isinstance(function.node, ast.AsyncFunctionDef):
            continue
        for called, path in _blocking_calls(graph, function):
            holder = path[-1]
            name = holder.source.name_of(called.func)
            if (holder.source.shown, called.lineno, name) not in seen:
                seen.add((holder.source.shown, called.lineno, name))
                way = ", which calls ".join([*(one.node.name for one in path[1:]), name])
                text = f"{function.node.name} calls {way}, which stops the event loop"
                yield Finding(text, holder.source.shown, called.lineno)


def _blocking_calls(graph: CallGraph, function: Defined) -> Iterator[tuple[ast.Call, list[Defined]]]:
    """Calls that block, in a function and in what it calls, with the way there: the nearest first."""
    waiting, visited = [[function]], {function.name}
    while waiting:
        path = waiting.pop(0)
        for call, target in graph.calls(path[-1]):
            if target is None:
                if _matches(path[-1].source.name_of(call.func), _BLOCKING):
                    yield call, path
            elif isinstance(target.node, ast.FunctionDef) and target.name not in visited:
                # An async one is looked at for itself.
                visited.add(target.name)
                waiting.append([*path, target])


def _no_swallowing(project: Project) -> Iterator[Finding]:
    for source in project.sources:
        for node in source.nodes:
            if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _does_something(node):
                yield Finding("catches every exception and does nothing with it", source.shown, node.lineno)


def _is_broad(type: ast.expr | None) -> bool:
    names = type.elts if isinstance(type, ast.Tuple) else [type]
    return any(
        name is None or (isinstance(name, ast.Name) and name.id in ("Exception", "BaseException")) for name in names
    )


def _does_something(handler: ast.ExceptHandler) -> bool:
    return any(
        not isinstance(statement, ast.Pass | ast.Continue | ast.Break)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in handler.body
    )


def _matches(name: str, known: tuple[str, ...]) -> bool:
    return any(name == one or (one.endswith(".") and name.startswith(one)) for one in known) or (
        name.startswith("os.environ.") and "os.environ" in known
    )


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


RULES = (
    Rule(
        id="code.parses",
        tier="bronze",
        title="All of its files are Python that this interpreter reads",
        why="A module that can't be read fails when it is imported, perhaps only in the one request that needs it.",
        fix="Mend the file; `requires-python` of pyproject.toml says which versions must be able to read it.",
        needs="files",
        check=_parses,
        gate=True,
    ),
    Rule(
        id="code.quiet_import",
        tier="bronze",
        title="Importing it reads nothing, opens nothing and starts nothing",
        why="Every process imports every plugin, also commands that only list them: what one does then, slow or"
        " failing, befalls all.",
        fix="Move it into on_startup, a handler or a job. What can be configured belongs in the settings.",
        needs="files",
        check=_quiet_import,
    ),
    Rule(
        id="code.no_blocking",
        tier="silver",
        title="No async function makes a call that blocks, nor does what it calls",
        why="One event loop serves all requests of a process: while it waits for one, none is answered.",
        fix="Await an async way of doing it, or hand it to `asyncio.to_thread`.",
        needs="files",
        check=_no_blocking,
    ),
    Rule(
        id="code.no_swallowing",
        tier="silver",
        title="No exception of whatever kind is caught and dropped",
        why="The kernel retries, rolls back and reports by what is raised; a failure that is dropped is found by those"
        " whom it harms.",
        fix="Catch what you expect by its class, or log it and raise.",
        needs="files",
        check=_no_swallowing,
    ),
)
