"""Judges a plugin, stage by stage: its files, then its code, then the plugin on a platform.

No code of the plugin runs in this process. Whatever it does to the one that it runs in, ends it or hangs, is a failure
of the rule that was being judged.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pegboard.conformance.catalog import all_rules
from pegboard.conformance.child import Line, Request, judge
from pegboard.conformance.locate import locate
from pegboard.conformance.project import Project
from pegboard.conformance.results import Report, Result
from pegboard.conformance.rule import NEEDS, Finding, Needs, Rule

__all__ = ("check",)

START_SECONDS = 180.0
"""How long a process may take until its first rule is judged: it imports the plugin, or starts a platform, first."""
GRACE_SECONDS = 10.0
"""How long a rule may overrun its own time-out, which a plugin that holds up the event loop does."""
MOST_PROCESSES = 6
"""How often a stage is begun anew after a plugin took its process down."""
LINE_BYTES = 1 << 24
SERVERS = ("PEGBOARD_TEST_POSTGRES", "PEGBOARD_TEST_REDIS", "PEGBOARD_TEST_MASTER_KEY")
"""Where the servers of a run of tests are, if this is one: they are used."""


async def check(
    target: str, *, only: Collection[str] = (), platform: bool = True, patience: float = START_SECONDS
) -> Report:
    """Judge the plugin that `target` names (see `locate`) by all rules, or by those whose ids are in `only`. Without
    `platform` the rules that need one are not run. `patience` is in seconds: how long importing the plugin, and
    starting a platform with it, may take.

    Raises:
        NotAPluginError: `target` is no plugin.
    """
    with tempfile.TemporaryDirectory(prefix="pegboard-check-") as scratch:
        project = locate(target, Path(scratch))
        lines = await _Judgement(project, only, platform, patience).lines()
    results = [_result(rule, lines[rule.id]) for rule in all_rules() if not only or rule.id in only]
    manifest = project.read[0]
    return Report(
        plugin=project.name,
        version=manifest.version if manifest is not None else project.metadata.version,
        subject=project.kind if project.kind == "installed" else target,
        results=results,
        complete=not only,
    )


def _result(rule: Rule, line: Line) -> Result:
    assert line.state
    return Result(rule=rule, state=line.state, findings=line.findings, reason=line.reason, seconds=line.seconds)


class _Judgement:
    """One run: gates are always judged, others as far as they are wanted."""

    def __init__(self, project: Project, only: Collection[str], platform: bool, patience: float) -> None:
        self._project = project
        self._rules = [rule for rule in all_rules() if rule.gate or not only or rule.id in only]
        self._platform = platform
        self._patience = patience
        self._lines: dict[str, Line] = {}

    async def lines(self) -> dict[str, Line]:
        """What was said of each rule."""
        blocked = ""
        for stage in NEEDS:
            rules = [rule for rule in self._rules if rule.needs == stage]
            if stage == "platform" and not blocked and not self._platform:
                blocked = "no platform was wanted"
            if blocked or not rules:
                self._leave(rules, blocked)
            elif stage == "files":
                await self._files(rules)
            else:
                await self._apart(stage, rules)
            blocked = blocked or self._failed_gate(rules)
        return self._lines

    def _failed_gate(self, rules: Sequence[Rule]) -> str:
        lines = [self._lines[rule.id] for rule in rules if rule.gate and rule.id in self._lines]
        failed = [line.rule for line in lines if line.state == "failed"]
        return f"{failed[0]} failed" if failed else ""

    def _leave(self, rules: Sequence[Rule], why: str) -> None:
        for rule in rules:
            self._lines.setdefault(rule.id, Line(rule=rule.id, state="not_run", reason=why))

    async def _files(self, rules: Sequence[Rule]) -> None:
        gates = [rule for rule in rules if rule.gate]
        for rule in gates:
            self._lines[rule.id] = await judge(rule, self._project)
        blocked = self._failed_gate(gates)
        if blocked:
            self._leave(rules, blocked)
            return
        for rule in rules[len(gates) :]:
            self._lines[rule.id] = await judge(rule, self._project)

    async def _apart(self, stage: Needs, rules: Sequence[Rule]) -> None:
        """Run a stage in processes of its own: one, and another each time that the plugin ends it."""
        settings = self._project.pyproject.get("tool", {}).get("pegboard", {}).get("check", {}).get("settings", {})
        for _ in range(MOST_PROCESSES):
            left = [rule for rule in rules if rule.id not in self._lines]
            if not left or self._failed_gate(rules[:1]):
                break
            await self._process(stage, left, settings)
        self._leave(rules, self._failed_gate(rules[:1]) or "the plugin ended too many processes")

    async def _process(self, stage: Needs, rules: Sequence[Rule], settings: Mapping[str, Any]) -> None:
        assert stage != "files"
        request = Request(
            project=self._project.described(), stage=stage, rules=[rule.id for rule in rules], settings=settings
        )
        with tempfile.TemporaryFile() as said:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "pegboard.conformance.child",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=said,
                env=self._environment(), limit=LINE_BYTES, start_new_session=True,
            )  # fmt: skip
            try:
                assert process.stdin is not None
                process.stdin.write(msgspec.json.encode(request))
                process.stdin.close()
                await self._listen(process, {rule.id: rule for rule in rules}, said)
            finally:
                # Also what the plugin started and left behind.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    async def _listen(self, process: asyncio.subprocess.Process, rules: Mapping[str, Rule], said: Any) -> None:
        assert process.stdout is not None
        current = next(iter(rules.values()))
        allowed = self._patience
        while True:
            try:
                text = await asyncio.wait_for(process.stdout.readline(), allowed)
            except TimeoutError:
                self._fail(current, f"the process hung: it was ended after {allowed:g} s")
                return
            if not text:
                break
            line = msgspec.json.decode(text, type=Line)
            if line.state:
                self._lines[line.rule] = line
            elif line.rule != current.id:
                current = rules[line.rule]
                allowed = current.timeout + GRACE_SECONDS
        status = await process.wait()
        if status or current.id not in self._lines:
            self._fail(current, f"it ended the process that it ran in, with status {status}{_last(said)}")

    def _fail(self, rule: Rule, why: str) -> None:
        if rule.id not in self._lines:
            self._lines[rule.id] = Line(rule=rule.id, state="failed", findings=[Finding(why)])

    def _environment(self) -> dict[str, str]:
        """What the process finds: the plugin's code before all else, and no configuration but what is made for it."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith("PEGBOARD_") or name in SERVERS
        }
        path = [str(folder) for folder in self._project.search]
        path += [kept["PYTHONPATH"]] if kept.get("PYTHONPATH") else []
        return {**kept, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}


def _last(said: Any) -> str:
    """What a process said last."""
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    return f": {lines[-1].strip()[:300]}" if lines else ""
