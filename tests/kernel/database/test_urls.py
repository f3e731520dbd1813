from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.config.model import Config, DatabaseConfig, SecretsConfig
from pegboard.database.urls import APP, SYSTEM, DatabaseUrls, derive_password, derive_url, user_of
from pegboard_sdk.settings import Secret

KEY = bytes(range(32))


def config(url: str = "", app_url: str = "", system_url: str = "", key: str = KEY.hex()) -> Config:
    return Config(
        database=DatabaseConfig(url=Secret(url), app_url=Secret(app_url), system_url=Secret(system_url)),
        secrets=SecretsConfig(master_key=Secret(key)),
    )


def test_the_apps_and_systems_urls_follow_from_the_owners():
    owner, app, system = DatabaseUrls.from_config(config("postgresql://admin:pw@db:5433/market?sslmode=require"))
    assert owner == "postgresql://admin:pw@db:5433/market?sslmode=require"
    password = derive_password(KEY, APP)
    assert app == f"postgresql://{APP}:{password}@db:5433/market?sslmode=require"
    assert user_of(system) == SYSTEM
    assert derive_password(KEY, SYSTEM) not in app


def test_configured_urls_are_taken_as_they_are_and_need_no_master_key():
    urls = DatabaseUrls.from_config(
        config("postgresql://admin@db/m", "postgresql://a@db/m", "postgresql://s@db/m", key="")
    )
    assert [*urls] == ["postgresql://admin@db/m", "postgresql://a@db/m", "postgresql://s@db/m"]


@pytest.mark.parametrize(
    ("given_config", "message"),
    [
        (config(), "database.url is not set"),
        (config("postgresql://admin@db/m", key=""), "master_key is not set"),
        (config("postgresql://admin@db/m", key="abc"), "master_key"),
        (config("postgresql://admin@db/m", key="00" * 31), "master_key"),
        (config("mysql://admin@db/m"), "postgresql://"),
    ],
)
def test_what_is_missing_is_said(given_config: Config, message: str):
    with pytest.raises(ValueError, match=message):
        DatabaseUrls.from_config(given_config)


def test_the_urls_do_not_show_their_passwords():
    urls = DatabaseUrls.from_config(config("postgresql://admin:very-secret@db/m"))
    assert "very-secret" not in repr(urls)
    assert derive_password(KEY, APP) not in f"{urls} {urls!r}"


@pytest.mark.parametrize("url", ["postgresql:///m?user=admin&host=/run", "postgresql://admin@/m?host=/run"])
def test_the_user_is_found_wherever_it_is_written(url: str):
    assert user_of(url) == "admin"
    assert user_of(derive_url(url, APP, KEY)) == APP
    assert "admin" not in derive_url(url, APP, KEY)


hosts = st.sampled_from(["", "db", "db:5433", "[::1]:5432", "a:1,b:2"])
folders = st.text("abc/ _-%&=?#é", min_size=1, max_size=20).map(lambda path: "/" + path)
credentials = st.sampled_from(["", "admin@", "admin:pw@", "admin:p%40w%3A@"])


@given(credentials, hosts, st.text("abcé_-", min_size=1), st.none() | folders)
def test_only_the_credentials_change(who: str, host: str, database: str, folder: str | None):
    from urllib.parse import quote

    query = f"?host={quote(folder)}&port=5433" if folder else ""
    derived = urlsplit(derive_url(f"postgresql://{who}{host}/{quote(database)}{query}", SYSTEM, KEY))
    assert derived.netloc == f"{SYSTEM}:{derive_password(KEY, SYSTEM)}@{host}"
    assert unquote(derived.path) == f"/{database}"
    assert parse_qs(derived.query) == ({"host": [folder], "port": ["5433"]} if folder else {})
