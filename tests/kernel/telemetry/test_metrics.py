"""Metrics of several processes in one exposition."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pegboard.telemetry.metrics import SHARED_FOLDER, share_metrics

PROCESS = """
import sys
from pegboard.telemetry.metrics import Metrics
metrics = Metrics()
metrics.observe_request("shop", "GET", "/x", 200, 0.01)
metrics.observe_job("shop", "shop.pack", "succeeded", 0.2)
metrics.observe_pools([("app", 4, 1)])
sys.stdout.write(metrics.render().decode())
"""


def exposition(folder: Path, environment: dict[str, str]) -> str:
    clean = {name: value for name, value in os.environ.items() if name != SHARED_FOLDER}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS],
        env={**clean, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("earlier", [False, True], ids=["new folder", "an earlier run's"])
def test_processes_of_a_machine_are_summed(tmp_path: Path, earlier: bool):
    if earlier:
        exposition(tmp_path, share_metrics(tmp_path / "metrics"))
    environment = share_metrics(tmp_path / "metrics")
    exposition(tmp_path, environment)
    text = exposition(tmp_path, environment)
    assert 'pegboard_http_requests_total{method="GET",plugin="shop",route="/x",status="200"} 2.0' in text
    assert 'pegboard_jobs_total{job="shop.pack",outcome="succeeded",plugin="shop"} 2.0' in text
    # The first process is gone, and its connections with it.
    assert 'pegboard_database_pool_connections{pool="app",state="used"} 3.0' in text


def test_a_process_by_itself_needs_no_folder(tmp_path: Path):
    text = exposition(tmp_path, {})
    assert 'pegboard_http_requests_total{method="GET",plugin="shop",route="/x",status="200"} 1.0' in text
    assert list(tmp_path.iterdir()) == []
