"""`make demo`: plays one whole marketplace transaction over HTTP; exit status 1 on any surprise.

    make demo                                       on a platform and a language model of its own
    make demo URL=http://127.0.0.1:8000 ADMIN_PASSWORD=…   on a running one, started from this checkout by `make up`
    make demo AI_URL=http://127.0.0.1:11434/v1      with another OpenAI-compatible server

The environment may hold URL, AI_URL, PEGBOARD (the command), MODEL_PYTHON, ADMIN_EMAIL and ADMIN_PASSWORD.
"""

import os
import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.e2e.demo.api import Surprise, Transcript
from tests.e2e.demo.processes import ADMINISTRATOR, Platform, running_model, running_platform
from tests.e2e.demo.story import play


def main() -> int:
    """Start what is missing, play, stop it."""
    environ = os.environ
    transcript = Transcript()
    began = time.monotonic()
    try:
        with ExitStack() as stack:
            transcript.title("Starting")
            if environ.get("AI_URL"):
                ai_url = environ["AI_URL"]
            else:
                transcript.line("SmolLM2, 135 million parameters, on this machine")
                ai_url = stack.enter_context(running_model(environ.get("MODEL_PYTHON", sys.executable)))
            command = environ.get("PEGBOARD", "pegboard")
            if environ.get("URL"):
                platform = running_already(environ["URL"], command)
            else:
                platform = stack.enter_context(running_platform(command, transcript))
            transcript.title(f"One marketplace transaction on {platform.url}")
            play(platform, ai_url, transcript)
            transcript.title("Stopping")
    except (Surprise, httpx.HTTPError) as surprise:
        sys.stdout.flush()
        sys.stderr.write(f"\nSURPRISE  {surprise or type(surprise).__name__}\n")
        return 1
    transcript.title(f"As it should be, in {time.monotonic() - began:.0f} s")
    return 0


def running_already(url: str, command: str) -> Platform:
    """A platform that somebody else started from this folder.

    Raises:
        Surprise: nobody said how its administrator logs in.
    """
    password = os.environ.get("ADMIN_PASSWORD")
    if not password:
        raise Surprise(
            "say how the administrator logs in: make demo URL=… ADMIN_PASSWORD=… (the first start printed it)"
        )
    email = os.environ.get("ADMIN_EMAIL", ADMINISTRATOR)
    return Platform(url.rstrip("/"), email, password, shlex.split(command), Path.cwd())


if __name__ == "__main__":
    sys.exit(main())
