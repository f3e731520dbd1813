"""Settings of the perimeter that would protect nobody are mistakes, and not found out by an attacker."""

from pathlib import Path

import pytest
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config


def load(tmp_path: Path, line: str) -> None:
    section, _, setting = line.partition(": ")
    path = tmp_path / "plugins.toml"
    path.write_text(f"[pegboard.{section}]\n{setting}\n")
    load_config(path, {})


@pytest.mark.parametrize(
    "line",
    [
        'http: allowed_origins = ["https://app.example", "http://localhost:5173", "*"]',
        'http: trusted_proxies = ["10.0.0.0/8", "fd00::/8", "127.0.0.1"]',
        'http: forwarded_by = "forwarded"',
        'outbound: private_hosts = { ai_providers = ["127.0.0.1:80", "models.internal", "10.0.3.0/24", "[::1]:80"] }',
    ],
)
def test_right_ones(tmp_path: Path, line: str):
    load(tmp_path, line)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('http: allowed_origins = ["https://app.example/"]', "is no origin"),
        ('http: allowed_origins = ["app.example"]', "is no origin"),
        ('http: allowed_origins = ["null"]', "is no origin"),
        ('http: trusted_proxies = ["proxy.internal"]', "is no address or network"),
        ('http: trusted_proxies = ["10.0.0.0/33"]', "is no address or network"),
        ('http: forwarded_by = "x-real-ip"', "expected one of"),
        ('outbound: private_hosts = { ai_providers = ["http://127.0.0.1"] }', "is no host"),
        ('outbound: private_hosts = { ai_providers = ["10.0.0.1/24"] }', "is no host"),
        ("outbound: ports = [0]", "ports"),
    ],
)
def test_wrong_ones(tmp_path: Path, line: str, why: str):
    with pytest.raises(ConfigError, match=why):
        load(tmp_path, line)
