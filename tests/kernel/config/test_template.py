"""The files to start from say what is true: every setting, its default, and names that exist."""

import re
import tomllib
from pathlib import Path

import msgspec
from pegboard.config.load import load_config
from pegboard.config.model import Config
from pegboard.paths import config_template, migrations_root, project_root

ROOT = Path(__file__).parents[3]
COMMENTED = re.compile(r"^# ([a-z0-9_]+ = )", re.MULTILINE)

SECRETS = {
    "PEGBOARD_DATABASE__URL": "postgresql://db.example/pegboard",
    "PEGBOARD_REDIS__URL": "redis://cache.example",
    "PEGBOARD_SECRETS__MASTER_KEY": "5c" * 32,
}


def test_the_template_is_a_right_configuration_with_the_built_in_plugins_on(tmp_path: Path):
    config = load_config(config_template(), {})

    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pegboard.plugins"]
    assert {name for name, entry in config.plugins.items() if entry.enabled} == set(entry_points)


def test_the_template_shows_every_setting_with_its_default(tmp_path: Path):
    path = tmp_path / "plugins.toml"
    path.write_text(COMMENTED.sub(r"\1", config_template().read_text()))
    written = tomllib.loads(path.read_text())["pegboard"]
    config = load_config(path, {})

    # What the file says of its own: a model on this machine may be called.
    private_hosts = {"ai_providers": ["localhost", "127.0.0.1", "::1"]}
    outbound = msgspec.structs.replace(Config().outbound, private_hosts=private_hosts)
    defaults = Config(var=str(tmp_path / "var"), path=str(path), plugins=config.plugins, outbound=outbound)
    assert config == defaults
    for name in Config.__struct_fields__:
        value = getattr(defaults, name)
        if isinstance(value, msgspec.Struct):
            assert set(written[name]) == set(value.__struct_fields__), name
        elif name not in ("plugins", "path"):
            assert name in written


def test_the_example_environment_is_right(tmp_path: Path):
    text = (ROOT / ".env.example").read_text()
    environ = dict(re.findall(r"^#(PEGBOARD_\w+)=(.*)$", text, re.MULTILINE))
    assert environ.pop("PEGBOARD_CONFIG")
    environ = {
        name: SECRETS.get(name, "secret") if value.startswith("file:") else value for name, value in environ.items()
    }

    config = load_config(config_template(), environ)

    assert not config.plugins["integrations"].enabled
    assert config.http.allowed_origins == ["https://market.example", "https://app.market.example"]


def test_a_checkout_uses_its_own_migrations_and_template():
    assert project_root() == ROOT
    assert migrations_root() == ROOT / "migrations"
    assert config_template() == ROOT / "plugins.toml"
