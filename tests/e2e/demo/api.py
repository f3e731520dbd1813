"""Talking to the platform the way a client does, and writing down what was said."""

import sys
import time
from typing import Any

import httpx
from pegboard_sdk import new_id

__all__ = ("Person", "Surprise", "Transcript", "expect")


class Surprise(Exception):
    """The platform did something else than it promises. The demo ends with it."""


def expect(condition: object, what: str) -> None:
    """Stop the demo where `condition` does not hold."""
    if not condition:
        raise Surprise(what)


class Transcript:
    """What a person reads who watches."""

    def __init__(self) -> None:
        self._steps = 0

    def title(self, text: str) -> None:
        self._write(f"\n{text}\n{'─' * len(text)}\n")

    def step(self, text: str) -> None:
        self._steps += 1
        self._write(f"\n{self._steps:>2}. {text}\n")

    def line(self, text: str) -> None:
        self._write(f"      {text}\n")

    def call(self, who: str, method: str, path: str, status: int, milliseconds: float) -> None:
        self._write(f"      {who:<13} {method:<6} {path}  → {status}  ({milliseconds:.0f} ms)\n")

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class Person:
    """Somebody with a client. Every call says which status it expects; another one is a surprise."""

    def __init__(self, name: str, base_url: str, transcript: Transcript) -> None:
        self.name = name
        self._transcript = transcript
        self._client = httpx.Client(base_url=base_url, timeout=180)

    def log_in(self, email: str, password: str) -> None:
        """From now on send the access token."""
        pair = self.post("/api/v1/auth/login", {"email": email, "password": password}, status=200)
        self._client.headers["Authorization"] = f"Bearer {pair['access_token']}"

    def get(self, path: str, *, status: int = 200, **params: Any) -> Any:
        return self._call("GET", path, status, params=params)

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        status: int = 201,
        key: bool = False,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> Any:
        """POST; with `key`, a fresh Idempotency-Key goes with it."""
        sent = {**(headers or {}), **({"Idempotency-Key": str(new_id())} if key else {})}
        return self._call("POST", path, status, json=body, content=content, headers=sent)

    def put(self, path: str, body: Any, *, status: int = 200) -> Any:
        return self._call("PUT", path, status, json=body)

    def delete(self, path: str, *, status: int = 204) -> Any:
        return self._call("DELETE", path, status)

    def until(self, path: str, field: str, value: str, *, seconds: float = 30) -> Any:
        """Read `path` until `field` is `value`: what jobs do takes a moment."""
        deadline = time.monotonic() + seconds
        while True:
            response = self._client.get(path)
            expect(response.status_code == 200, f"GET {path} answered {response.status_code}: {response.text}")
            found = response.json()
            if found[field] == value:
                self._transcript.call(self.name, "GET", path, 200, response.elapsed.total_seconds() * 1000)
                return found
            expect(time.monotonic() < deadline, f"{path}: {field} is {found[field]}, not {value}, after {seconds:g} s")
            time.sleep(0.1)

    def close(self) -> None:
        self._client.close()

    def _call(self, method: str, path: str, status: int, **kwargs: Any) -> Any:
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        response = self._client.request(method, path, **kwargs)
        self._transcript.call(self.name, method, path, response.status_code, response.elapsed.total_seconds() * 1000)
        expect(
            response.status_code == status,
            f"{method} {path} answered {response.status_code} instead of {status}: {response.text}",
        )
        return response.json() if response.content else None
