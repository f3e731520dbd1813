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
