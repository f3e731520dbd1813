"""The process in which a plugin's code runs while it is judged: `python -m pegboard.conformance.child`.

It reads a request from standard input and writes one line of JSON to standard output as each rule begins and ends. What
the plugin itself prints goes to standard error. When the plugin takes the process down, the last line says with which
rule.
"""

import asyncio
import inspect
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from pegboard.conformance.catalog import all_rules
from pegboard.conformance.project import Project
from pegboard.conformance.rule import Finding, Rule
from pegboard.plugins.hooks import describe

__all__ = ("Line", "Request", "judge", "main")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done: `stage` is `import` or `platform`, `rules` are ids in order."""

    project: dict[str, Any]
    stage: Literal["import", "platform"]
    rules: Sequence[str]
    settings: Mapping[str, Any]


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the process says. A line without `state` is a rule's beginning."""

    rule: str
    state: Literal["passed", "failed", "not_applicable", "not_run", ""] = ""
    findings: Sequence[Finding] = ()
    reason: str = ""
    seconds: float = 0.0


Say = Callable[[Line], None]


async def judge(rule: Rule, subject: Any) -> Line:
    """What a rule says of a subject. A rule that raises has failed: what it stumbled over is the plugin's."""
    began = time.perf_counter()
    try:
        reason = rule.applies(subject)
        if reason is not None:
            return Line(rule=rule.id, state="not_applicable", reason=reason)
        async with asyncio.timeout(rule.timeout):
            outcome = rule.check(subject)
            found = await outcome if inspect.isawaitable(outcome) else outcome
            findings = [one if isinstance(one, Finding) else Finding(one) for one in found]
    except TimeoutError:
        findings = [Finding(f"was not done after {rule.timeout:g} s")]
    except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever the plugin's oddity made it raise
        findings = [Finding(f"could not be judged: {describe(error)}")]
    seconds = round(time.perf_counter() - began, 3)
    return Line(rule=rule.id, state="failed" if findings else "passed", findings=findings, seconds=seconds)


def main() -> None:
    """Do what standard input asks for."""
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)

        def say(line: Line) -> None:
            output.write(msgspec.json.encode(line) + b"\n")
            output.flush()

        project = Project.of(request.project)
        wanted = {rule.id: rule for rule in all_rules()}
        rules = [wanted[name] for name in request.rules]
        stages: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"import": _import, "platform": _platform}
        asyncio.run(stages[request.stage](project, rules, request.settings, say))
    # Threads that the plugin left behind must not keep the process.
    sys.stderr.flush()
    os._exit(0)


async def _import(project: Project, rules: Sequence[Rule], settings: Mapping[str, Any], say: Say) -> None:
    from pegboard.conformance.loaded import LoadError, load

    say(Line(rule=rules[0].id))
    try:
        loaded = load(project, settings)
    except LoadError as error:
        _refuse(rules, str(error), say)
        return
    await _run(rules, loaded, say)


async def _platform(project: Project, rules: Sequence[Rule], settings: Mapping[str, Any], say: Say) -> None:
    from pegboard.conformance.subject import open_subject

    say(Line(rule=rules[0].id))
    started = False
    try:
        async with open_subject(project.name, settings={project.name: settings} if settings else None) as subject:
            started = True
            await _run(rules, subject, say)
    except (Exception, SystemExit) as error:
        if started:
            raise
        _refuse(rules, f"the platform does not start with it: {describe(error)}", say)


async def _run(rules: Iterable[Rule], subject: Any, say: Say) -> None:
    for rule in rules:
        say(Line(rule=rule.id))
        say(await judge(rule, subject))


def _refuse(rules: Sequence[Rule], why: str, say: Say) -> None:
    gate, *rest = rules
    say(Line(rule=gate.id, state="failed", findings=[Finding(why)]))
    for rule in rest:
        say(Line(rule=rule.id, state="not_run", reason=f"{gate.id} failed"))


if __name__ == "__main__":
    main()
