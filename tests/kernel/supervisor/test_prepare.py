"""Preparing a database that is up to date is for every start: it loads nothing that only the processes need."""

import subprocess
import sys


def test_redis_is_loaded_by_those_who_use_it():
    code = "import sys, pegboard.supervisor.prepare, pegboard.plugins.kernel_part; print('redis' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "False\n"
