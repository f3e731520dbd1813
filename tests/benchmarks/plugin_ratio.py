"""The same read with 50 more trivial plugins on, against without."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec

from tests.benchmarks.figures import ratio_figure
from tests.benchmarks.gigs import GIGS_PATH, prepare
from tests.benchmarks.load import free_port, get, measure, running_server
from tests.benchmarks.options import Options
from tests.benchmarks.trivial_plugins import write_trivial_plugins

NAME = "plugin_ratio"
MORE = 50


def run(options: Options) -> Iterator[dict[str, Any]]:
    """Interleaved: with the 50 and without."""
    url = options.database("bench_plugins")
    token = prepare(options.config(url))
    bearer = {"authorization": f"Bearer {token}"}
    site = options.folder / "site"
    names = write_trivial_plugins(site, MORE)
    # A database of its own, copied: processes on one database agree on one set of plugins.
    many_url = options.database("bench_plugins_many", template="bench_plugins")
    many = options.folder / "many"
    many.mkdir()
    file = (options.folder / "plugins.toml").read_text()
    (many / "plugins.toml").write_text(file + "".join(f"\n[plugins.{name}]\nenabled = true\n" for name in names))
    with ExitStack() as stack:
        addresses = []
        for database, config, path in ((many_url, many / "plugins.toml", str(site)), (url, None, "")):
            port = free_port()
            env = options.environment(database, PYTHONPATH=path)
            if config is not None:
                env["PEGBOARD_CONFIG"] = str(config)
            command = [sys.executable, "-m", "pegboard", "serve", "--port", str(port)]
            addresses.append(stack.enter_context(running_server(command, port=port, env=env, ready="/health/ready")))
        with_more, without = (address + GIGS_PATH for address in addresses)
        if get(with_more, bearer) != get(without, bearer):
            raise RuntimeError("the two platforms don't give the same gigs")
        document = msgspec.json.decode(get(f"{addresses[0]}/openapi.json", {}))
        if not all(f"/api/v1/{name}/things" in document["paths"] for name in names):
            raise RuntimeError("not all of the 50 plugins are on")
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(options.pairs + 1):
            ours.append(measure(with_more, headers=bearer)[0])
            theirs.append(measure(without, headers=bearer)[0])
    yield ratio_figure(NAME, ours[1:], theirs[1:], peer=f"the same without {MORE} more plugins", unit="requests/s")
