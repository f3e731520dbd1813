"""What `plugins.toml` and the environment say becomes a Config; mistakes name file, line, key and reason."""

import json
from pathlib import Path

import pytest
from pegboard.config.errors import ConfigError
from pegboard.config.load import load_config
from pegboard_sdk import Secret

ORIGINS = ["https://a.example", "https://b.example"]


def write(folder: Path, text: str) -> Path:
    path = folder / "plugins.toml"
    path.write_text(text)
    return path


def mistake(folder: Path, text: str, **environ: str) -> ConfigError:
    """The only mistake that reading finds."""
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text), environ)
    assert caught.value.others == ()
    return caught.value


def test_an_empty_file_gives_the_defaults(tmp_path: Path):
    config = load_config(write(tmp_path, ""), {})

    assert config.http.port == 8000
    assert config.plugins == {}
    assert config.var == str(tmp_path / "var")
    assert config.path == str(tmp_path / "plugins.toml")


def test_the_file_is_read(tmp_path: Path):
    config = load_config(
        write(
            tmp_path,
            """
            [pegboard]
            strict = true
            var = "/srv/pegboard"
            [pegboard.http]
            port = 9000
            allowed_origins = ["https://market.example"]
            [plugins.finance]
            enabled = true
            platform_fee_bps = 750
            """,
        ),
        {},
    )

    assert config.strict
    assert config.var == "/srv/pegboard"
    assert config.http.port == 9000
    assert config.http.allowed_origins == ["https://market.example"]
    assert config.plugins["finance"].enabled
    assert config.plugins["finance"].settings == {"platform_fee_bps": 750}


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("[pegboard.http]\nprot = 1", 2, "pegboard.http.prot", "unknown key: did you mean port?"),
        ("[pegboard]\nstrcit = true", 2, "pegboard.strcit", "unknown key: did you mean strict?"),
        ("[pegboard]\n\n[pegboard.htpp]\nport = 1", 3, "pegboard.htpp", "unknown key: did you mean http?"),
        ("[plugin.finance]", 1, "plugin", "unknown table: did you mean plugins?"),
        ("zzz = 1", 1, "zzz", "unknown table: known are pegboard, plugins"),
        ("pegboard = 1", 1, "pegboard", "expected a table"),
        ("[pegboard]\nhttp = 1", 2, "pegboard.http", "expected a table"),
        ("[pegboard]\npath = 'x'", 2, "pegboard.path", "unknown key: did you mean "),
        ("[pegboard.plugins.finance]", 1, "pegboard.plugins", "unknown key"),
        ("[pegboard.http]\n# a\nport = '80'", 3, "pegboard.http.port", "expected a whole number, got text"),
        ("[pegboard.http]\nport = 80000", 2, "pegboard.http.port", "expected a whole number <= 65535"),
        ("[pegboard]\nstrict = 1", 2, "pegboard.strict", "expected true or false, got a whole number"),
        ("[pegboard.log]\nlevel = 'loud'", 2, "pegboard.log.level", "expected one of debug, error, info, warning"),
        (
            "[pegboard.http]\nallowed_hosts = [\n  'a',\n  2,\n]",
            2,
            "pegboard.http.allowed_hosts[1]",
            "expected text, got a whole number",
        ),
        ("[pegboard.jobs]\npoll_interval = nan", 2, "pegboard.jobs.poll_interval", "expected a number > 0.0"),
        ("[pegboard.redis]\nurl = 5", 2, "pegboard.redis.url", "expected text"),
        (
            "[pegboard.redis]\nurl = 'http://r'",
            2,
            "pegboard.redis.url",
            "must start with redis://, rediss:// or unix://",
        ),
        ("[pegboard.database]\nurl = 'mysql://x'", 2, "pegboard.database.url", "must start with postgresql:// or "),
        ("[pegboard.database]\napp_url = 'x'", 2, "pegboard.database.app_url", "must start with postgresql:// or "),
        ("[pegboard.secrets]\nmaster_key = '-'", 2, "pegboard.secrets.master_key", "is neither hex nor base64"),
        ("[pegboard.secrets]\nmaster_key = 'abcd'", 2, "pegboard.secrets.master_key", "holds 3 bytes; it must be 32"),
        ("[plugins]\nfinance = true", 2, "plugins.finance", "expected a table: write [plugins.finance]"),
        ("[plugins.finance]\nfee = 1", 1, "plugins.finance.enabled", "is required and missing"),
        ("[plugins.finance]\nenabled = 'yes'", 2, "plugins.finance.enabled", "expected true or false, got text"),
        ("[plugins.Finance]\nenabled = true", 1, "plugins.Finance", "a plugin's name is in snake_case"),
        ("[plugins.a__b]\nenabled = true", 1, "plugins.a__b", "a plugin's name is in snake_case"),
        ("[plugins.http]\nenabled = true", 1, "plugins.http", "this name is the kernel's: a plugin can't have it"),
        ("[plugins.kernel]\nenabled = true", 1, "plugins.kernel", "this name is the kernel's: a plugin can't have it"),
    ],
)
def test_a_mistake_names_its_place_and_reason(tmp_path: Path, text: str, line: int, key: str, reason: str):
    error = mistake(tmp_path, text)

    assert (error.line, error.key) == (line, key)
    assert error.reason.startswith(reason)
    assert str(error).startswith(f"{tmp_path}/plugins.toml:{line}: {key}: {reason}")
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[pegboard]\nstrict = maybe", 2),
        ("[pegboard\n", 1),
        ("[pegboard]\nstrict = true\nstrict = false", 3),
        ("[pegboard]\nvar = '''\n\n", 4),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(tmp_path: Path, text: str, line: int):
    error = mistake(tmp_path, text)

    assert error.line == line
    assert error.reason.startswith("is not valid TOML: ")
    assert "(at " not in error.reason


def test_what_is_not_utf_8_is_refused_with_its_line(tmp_path: Path):
    path = tmp_path / "plugins.toml"
    path.write_bytes(b"[pegboard]\n# \xff\n")

    with pytest.raises(ConfigError) as caught:
        load_config(path, {})

    assert caught.value.line == 2
    assert caught.value.reason == "is not UTF-8 text"


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no such file.*pegboard config init"):
        load_config(tmp_path / "plugins.toml", {})


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load_config(tmp_path, {})


def test_every_mistake_is_found_at_once_in_the_order_of_the_file(tmp_path: Path):
    path = write(tmp_path, "[pegboard.log]\nlevel = 'loud'\n[pegboard.http]\nport = 'x'\nprot = 1\n")

    with pytest.raises(ConfigError) as caught:
        load_config(path, {"PEGBOARD_HTTP__WORKERS": "0"})

    assert [(error.line, error.key) for error in caught.value.all] == [
        (2, "pegboard.log.level"),
        (4, "pegboard.http.port"),
        (5, "pegboard.http.prot"),
        (None, "PEGBOARD_HTTP__WORKERS"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "section", "field", "value"),
    [
        ("PEGBOARD_HTTP__PORT", "9000", "http", "port", 9000),
        ("PEGBOARD_HTTP__INTERNAL_METRICS", "true", "http", "internal_metrics", True),
        ("PEGBOARD_HTTP__ALLOWED_ORIGINS", "https://a.example, https://b.example", "http", "allowed_origins", ORIGINS),
        ("PEGBOARD_HTTP__ALLOWED_ORIGINS", json.dumps(ORIGINS), "http", "allowed_origins", ORIGINS),
        ("PEGBOARD_HTTP__ALLOWED_HOSTS", "", "http", "allowed_hosts", []),
        ("PEGBOARD_JOBS__POLL_INTERVAL", "0.25", "jobs", "poll_interval", 0.25),
        ("PEGBOARD_AUTH__REGISTRATION", "closed", "auth", "registration", "closed"),
        ("PEGBOARD_REDIS__URL", "redis://r.example", "redis", "url", Secret("redis://r.example")),
    ],
)
def test_the_environment_wins_over_the_file(
    tmp_path: Path, name: str, text: str, section: str, field: str, value: object
):
    config = load_config(write(tmp_path, "[pegboard.http]\nport = 1\nallowed_hosts = ['x']\n"), {name: text})

    assert getattr(getattr(config, section), field) == value


def test_the_environment_sets_what_has_no_section(tmp_path: Path):
    config = load_config(write(tmp_path, ""), {"PEGBOARD_STRICT": "1", "PEGBOARD_VAR": "data"})

    assert config.strict
    assert config.var == str(tmp_path / "data")


def test_the_environment_turns_plugins_on_and_off(tmp_path: Path):
    config = load_config(
        write(tmp_path, "[plugins.finance]\nenabled = true\n[plugins.governance]\n"),
        {
            "PEGBOARD_PLUGINS__FINANCE__ENABLED": "false",
            "PEGBOARD_PLUGINS__GOVERNANCE__ENABLED": "true",
            "PEGBOARD_PLUGINS__HELLO__ENABLED": "true",
            "PEGBOARD_HELLO__GREETING": "Hi",
        },
    )

    assert {name: entry.enabled for name, entry in config.plugins.items()} == {
        "finance": False,
        "governance": True,
        "hello": True,
    }
    assert config.plugins["hello"].environment == {"greeting": Secret("Hi")}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("PEGBOARD_HTTP__PORT", "x", "expected a whole number, got text"),
        ("PEGBOARD_HTTP__PORT", "-1", "expected a whole number >= 0"),
        ("PEGBOARD_HTTP__PROT", "1", "unknown setting: did you mean port?"),
        ("PEGBOARD_HTPP__PORT", "1", "unknown section or plugin: did you mean http?"),
        ("PEGBOARD_FINANC__FEE", "1", "unknown section or plugin: did you mean finance?"),
        ("PEGBOARD_STRCIT", "1", "unknown setting: did you mean PEGBOARD_STRICT?"),
        ("PEGBOARD_STRICT", "yes", "expected true or false, got text"),
        ("PEGBOARD_HTTP__ALLOWED_HOSTS", "[1", "is not valid JSON"),
        ("PEGBOARD_HTTP__ALLOWED_HOSTS", "[1]", "[0]: expected text, got a whole number"),
        ("PEGBOARD_PLUGINS__FINANCE__ENABLED", "on", "expected true or false, got text"),
        ("PEGBOARD_PLUGINS__FINANCE__FEE", "1", "only ENABLED is set this way: a plugin's settings are"),
        ("PEGBOARD_REDIS__URL", "r.example", "must start with redis://"),
        ("PEGBOARD_SECRETS__MASTER_KEY", "short", "is neither hex nor base64"),
        ("PEGBOARD_REDIS__URL", "env:NOWHERE", "the environment variable NOWHERE is not set"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, name: str, text: str, reason: str):
    error = mistake(tmp_path, "[plugins.finance]\nenabled = true", **{name: text})

    assert (error.file, error.line, error.key) == ("environment", None, name)
    assert error.reason.startswith(reason)


def test_variables_that_others_set_are_left_alone(tmp_path: Path):
    kubernetes = {"PEGBOARD_SERVICE_HOST": "10.0.0.1", "PEGBOARD_PORT": "tcp://10.0.0.1:80", "PEGBOARDS__X__Y": "1"}

    assert load_config(write(tmp_path, ""), kubernetes) == load_config(tmp_path / "plugins.toml", {})


def test_the_file_is_named_by_the_environment_or_found_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path, "[pegboard]\nvar = 'here'")
    other = tmp_path / "other.toml"
    other.write_text("[pegboard]\nvar = 'there'")
    monkeypatch.chdir(tmp_path)

    assert load_config(environ={}).var == str(tmp_path / "here")
    assert load_config(environ={"PEGBOARD_CONFIG": "other.toml"}).var == str(tmp_path / "there")
    assert load_config(Path("plugins.toml"), {"PEGBOARD_CONFIG": "other.toml"}).var == str(tmp_path / "here")
