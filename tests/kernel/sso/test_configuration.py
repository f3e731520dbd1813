"""Providers in `plugins.toml`: secrets by reference, and mistakes that name the key and the line."""

from pathlib import Path

import pytest
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config, read_config

GOOGLE = """
[pegboard.sso.google]
preset = "google"
client_id = "id"
client_secret = "env:GOOGLE_SECRET"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "plugins.toml"
    path.write_text(text)
    return path


def test_a_provider_and_its_secret(tmp_path: Path) -> None:
    path = write(tmp_path, GOOGLE)
    environ = {"GOOGLE_SECRET": "planted-secret", "PEGBOARD_SSO__GOOGLE__LABEL": "Log in by Google"}
    config = load_config(path, environ)
    google = config.sso["google"]
    assert google.client_secret.reveal() == "planted-secret"
    assert (google.label, google.tenants, google.provision) == ("Log in by Google", "default", "open")
    assert "planted-secret" not in repr(config)


def test_a_provider_by_the_environment_alone(tmp_path: Path) -> None:
    environ = {
        "PEGBOARD_SSO__HUB__PRESET": "github",
        "PEGBOARD_SSO__HUB__CLIENT_ID": "id",
        "PEGBOARD_SSO__HUB__RETURN_TO": "https://market.example/welcome, com.example.app:/done",
    }
    assert load_config(write(tmp_path, ""), environ).sso["hub"].return_to == [
        "https://market.example/welcome",
        "com.example.app:/done",
    ]


@pytest.mark.parametrize(
    ("text", "key", "line", "reason"),
    [
        ('[pegboard.sso.x]\nclient_id = "id"', "pegboard.sso.x", 1, "issuer"),
        ('[pegboard.sso.x]\npreset = "google"', "pegboard.sso.x.client_id", 1, "required"),
        ('[pegboard.sso.x]\npreset = "google"\nclient_id = "id"\nlabl = "x"', "pegboard.sso.x.labl", 4, "unknown key"),
        ('[pegboard.sso.X]\npreset = "google"\nclient_id = "id"', "pegboard.sso.X", 1, "snake_case"),
        ('[pegboard.sso.x]\npreset = "facebook"\nclient_id = "id"', "pegboard.sso.x.preset", 2, "google"),
        ("[pegboard]\nsso = 1", "pegboard.sso", 2, "expected a table"),
    ],
)
def test_a_mistake(tmp_path: Path, text: str, key: str, line: int, reason: str) -> None:
    [mistake, *_] = read_config(write(tmp_path, text), {})[1]
    assert isinstance(mistake, ConfigError)
    assert (mistake.key, mistake.line) == (key, line)
    assert reason in str(mistake)
