"""A plugin that misbehaves on a platform, in all ways at once."""

from pathlib import Path

from pegboard.conformance.runner import check

from tests.kernel.conformance.breakages import PLATFORM, PluginCopy


async def test_each_way_is_named(tmp_path: Path) -> None:
    plugin = PluginCopy(tmp_path)
    for spoil in PLATFORM.values():
        spoil(plugin)

    report = await check(str(plugin.root), only=set(PLATFORM))

    assert {one.rule.id for one in report.results if one.state == "failed"} == set(PLATFORM)


async def test_a_job_that_ends_the_interpreter_is_named_and_the_rest_is_judged(tmp_path: Path) -> None:
    plugin = PluginCopy(tmp_path)
    plugin.replace("jobs.py", "    row = await", '    __import__("os")._exit(7)\n    row = await')

    report = await check(str(plugin.root), only={"jobs.twice", "tables.drift"})

    states = {one.rule.id: one.state for one in report.results}
    assert states == {"jobs.twice": "failed", "tables.drift": "passed"}
    (twice,) = [one for one in report.results if one.state == "failed"]
    assert "ended the process that it ran in, with status 7" in str(twice.findings[0])
