"""The distribution and its project."""

from collections.abc import Iterator

from pegboard.conformance.build import BuildError, build_wheel, contents, unavailable
from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.conformance.rules.documentation import in_a_checkout
from pegboard.conformance.source import Function

__all__ = ("RULES",)

_PIPELINES = (".github/workflows", ".gitlab-ci.yml", ".forgejo/workflows", ".gitea/workflows", ".circleci", ".ci",
              ".woodpecker", ".woodpecker.yml", ".drone.yml", "Jenkinsfile", "azure-pipelines.yml",
              "bitbucket-pipelines.yml", ".travis.yml", ".buildkite")  # fmt: skip


def _alone(project: Project) -> str | None:
    if project.kind == "wheel":
        return None
    if project.kind == "installed":
        return "it is installed already: check its folder or its wheel"
    if not project.builds_alone:
        return f"it is built as a part of {project.metadata.name}, which has tests of its wheel"
    return unavailable(project)


def _wheel(project: Project) -> Iterator[Finding]:
    try:
        wheel = project.wheel or build_wheel(project)
    except BuildError as error:
        yield Finding(str(error), "pyproject.toml")
        return
    there = contents(wheel)
    base = project.folder.parent
    for path in sorted(project.folder.rglob("*")):
        name = path.relative_to(base).as_posix()
        if path.is_file() and path.suffix in (".py", ".toml", ".typed") and name not in there:
            yield Finding(f"is not in the wheel {wheel.name}", project.shown(path))


def _licence(project: Project) -> Iterator[Finding]:
    if not project.metadata.licence:
        yield Finding(f"says no licence of {project.metadata.name}", "pyproject.toml")


def _tests(project: Project) -> Iterator[Finding]:
    if not any("def test_" in path.read_text(encoding="utf-8", errors="replace") for path in project.tests()):
        yield Finding("has no tests: none are in tests/test_*.py")


def _pipeline(project: Project) -> Iterator[Finding]:
    bases = [base for base in (project.root, project.project) if base is not None]
    if not any((base / name).exists() for base in bases for name in _PIPELINES):
        yield Finding("nothing runs its tests when it changes: there is no .github/workflows or the like")


def _marked(project: Project) -> Iterator[Finding]:
    if not (project.folder / "py.typed").is_file():
        yield Finding("is missing: type checkers take the package for untyped", f"{project.package}/py.typed")


def _annotated(project: Project) -> Iterator[Finding]:
    for source in project.sources:
        for function in source.functions():
            if not function.name.startswith("_"):
                missing = list(_unannotated(function))
                if missing:
                    text = f"{function.name} has no annotation of {', '.join(missing)}"
                    yield Finding(text, source.shown, function.lineno)


def _unannotated(function: Function) -> Iterator[str]:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    if positional and positional[0].arg in ("self", "cls"):
        positional.pop(0)
    for argument in (*positional, *given.kwonlyargs):
        if argument.annotation is None:
            yield argument.arg
    if function.returns is None:
        yield "what it returns"


RULES = (
    Rule(
        id="packaging.wheel",
        tier="bronze",
        title="Its wheel can be built and holds all of its package",
        why="People install the wheel: a manifest or a migration that isn't in it isn't there.",
        fix="Have the build back-end take in the whole package; with hatchling: [tool.hatch.build.targets.wheel]"
        ' packages = ["<package>"].',
        needs="files",
        check=_wheel,
        applies=_alone,
        timeout=180.0,
    ),
    Rule(
        id="packaging.licence",
        tier="silver",
        title="Its metadata says under which licence it is",
        why="Without a licence nobody may use it.",
        fix='Write license = "Apache-2.0", or whichever it is, in [project] of pyproject.toml (PEP 639).',
        needs="files",
        check=_licence,
    ),
    Rule(
        id="packaging.tests",
        tier="silver",
        title="It has tests",
        why="A rule that no test proves holds until somebody changes something.",
        fix="Write tests with the fixture of pegboard_sdk.testing: they run on a real platform.",
        needs="files",
        check=_tests,
        applies=in_a_checkout,
    ),
    Rule(
        id="packaging.pipeline",
        tier="gold",
        title="Its tests run whenever it changes",
        why="Tests that have to be remembered are forgotten.",
        fix="Add a workflow that runs the tests and `pegboard plugins check .`.",
        needs="files",
        check=_pipeline,
        applies=in_a_checkout,
    ),
    Rule(
        id="packaging.typed",
        tier="gold",
        title="The package is marked as typed",
        why="Its service protocols and events are of use to others' type checkers only then.",
        fix="Put an empty file py.typed into the package.",
        needs="files",
        check=_marked,
    ),
    Rule(
        id="packaging.annotated",
        tier="gold",
        title="Public functions have annotations",
        why="They are what a reader and a type checker know of a function.",
        fix="Annotate the arguments and what is returned.",
        needs="files",
        check=_annotated,
    ),
)
