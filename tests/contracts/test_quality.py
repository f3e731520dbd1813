"""Every plugin that comes with Pegboard is gold, and so is a third party's."""

import pytest
from pegboard.conformance.report import as_text
from pegboard.conformance.runner import check

from tests.support.scratch import ROOT
from tests.support.servers import BUILT_IN


@pytest.mark.parametrize("path", [*(f"plugins/{name}" for name in BUILT_IN), "tests/contracts/thirdparty"])
async def test_it_is_gold(path: str) -> None:
    report = await check(str(ROOT / path))

    assert report.tier == "gold", as_text(report)
