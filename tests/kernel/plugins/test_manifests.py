"""What the manifest and the installation alone tell, before any code of a plugin runs."""

from collections.abc import Callable

import pytest
from pegboard.plugins.registry import Registry

from tests.kernel.plugins.good import only_good_is_on, with_good
from tests.support.workshop import Workshop

Reasons = Callable[[Registry], dict[str, str]]

# What the manifest alone tells, before any code runs.
MANIFESTS = {
    "not TOML": ("name = ", "plugin.toml:1: is not valid TOML"),
    "a missing key": ('name = "bad"\nsummary = "x"\nsdk = ">=1"\n', "version: is required and missing"),
    "an unknown key": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\nrequire = {}\n',
        "plugin.toml:5: require: unknown key: did you mean requires?",
    ),
    "a wrong type": (
        'name = "bad"\nsummary = "x"\nversion = 1\nsdk = ">=1"\n',
        "plugin.toml:3: version: expected text, got a whole number",
    ),
    "another name": (
        'name = "worse"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n',
        "plugin.toml:1: name: is 'worse' and the entry point is named 'bad'",
    ),
    "no version": (
        'name = "bad"\nsummary = "x"\nversion = "one"\nsdk = ">=1"\n',
        "plugin.toml:3: version: is not a version: 'one'",
    ),
    "a wrong range": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = "1"\n\n[requires]\ngood = ">>1"\n',
        "plugin.toml:7: requires.good: is not a version range: '>>1'",
    ),
    "itself as a dependency": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[after]\nbad = ">=1"\n',
        "plugin.toml:6: after.bad: a plugin can't depend on itself",
    ),
    "another's permission": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[permissions]\n"good:thing.eat" = "eat"\n',
        "plugin.toml:6: permissions.good:thing.eat: must look like bad:<noun>.<verb>",
    ),
    "another's event": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[events]\n"good.done" = "done"\n',
        "plugin.toml:6: events.good.done: must look like bad.",
    ),
    "another's table": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[capabilities]\ntables = ["kernel_accounts"]\n',
        "plugin.toml:6: capabilities.tables: 'kernel_accounts' must look like bad_<noun>",
    ),
    "another's secret": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[capabilities]\nsecrets = ["good.key"]\n',
        "plugin.toml:6: capabilities.secrets: 'good.key' must look like bad.<snake_case>",
    ),
    "no host": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[capabilities]\noutbound_hosts = ["https://a.b/"]\n',
        "plugin.toml:6: capabilities.outbound_hosts: 'https://a.b/' is not a host name",
    ),
    "the host of a secret that it may not read": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[capabilities]\noutbound_hosts = ["secret:bad.at"]\n',
        "'secret:bad.at' must name a secret that capabilities.secrets lists",
    ),
    "the host of a setting without settings": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[capabilities]\noutbound_hosts = ["settings:at"]\n',
        "'settings:at' must name a field of the plugin's settings",
    ),
    "a service that costs": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\n[capabilities]\nservices = ["ModelGateway"]\n',
        "plugin.toml:6: capabilities.services: write `ai_spend = true` in place of ModelGateway",
    ),
    "settings elsewhere": (
        'name = "bad"\nsummary = "x"\nversion = "1"\nsdk = ">=1"\nsettings = "os:environ"\n',
        "plugin.toml:5: settings: the settings Struct must be in the plugin's own package",
    ),
}


@pytest.mark.parametrize("mistake", MANIFESTS)
def test_a_bad_manifest_names_file_line_key_and_reason(workshop: Workshop, reasons: Reasons, mistake: str) -> None:
    manifest, expected = MANIFESTS[mistake]
    with_good(workshop)
    workshop.add("bad", "raise SystemExit('imported')", manifest=manifest)
    registry = workshop.load()

    only_good_is_on(registry)
    assert expected in reasons(registry)["bad"]
    assert not workshop.imported("bad")


@pytest.mark.parametrize("name", ["kernel", "account", "admin", "auth", "health", "database", "kernel_extras", "pg_x"])
def test_reserved_names_are_refused(workshop: Workshop, name: str) -> None:
    workshop.add(name)
    registry = workshop.load("good")

    assert "is reserved" in {one.name: one.reason for one in registry.skipped}[name]


def test_manifests_are_read_without_importing_anything(workshop: Workshop) -> None:
    for name in ("first", "second"):
        workshop.add(name, "raise SystemExit('imported')")
    registry = workshop.load("none", disabled=("first", "second"))

    assert {one.name: one.state for one in registry.skipped} == {
        "none": "failed",
        "first": "disabled",
        "second": "disabled",
    }
    assert not workshop.imported("first")
    assert not workshop.imported("second")


def test_a_missing_manifest_says_where_it_should_be(workshop: Workshop, reasons: Reasons) -> None:
    with_good(workshop)
    package = workshop.add("bad")
    (workshop.folder / package / "plugin.toml").unlink()
    registry = workshop.load()

    only_good_is_on(registry)
    assert reasons(registry)["bad"] == f"it has no manifest: plugin.toml is missing in {workshop.folder / package}"


def test_an_entry_point_to_nowhere_is_said_so(workshop: Workshop, reasons: Reasons) -> None:
    with_good(workshop)
    workshop.announce("gone", "not_there_at_all.plugin", distribution="gone")
    workshop.announce("flat", "flat", distribution="flat")
    registry = workshop.load("good", "gone", "flat")

    only_good_is_on(registry)
    assert "its package not_there_at_all (gone 1.0.0) is not installed" in reasons(registry)["gone"]
    assert "it must name a module inside a package" in reasons(registry)["flat"]


def test_two_packages_that_offer_one_name_are_both_refused(workshop: Workshop, reasons: Reasons) -> None:
    with_good(workshop)
    package = workshop.add("bad", distribution="one")
    workshop.announce("bad", f"{package}.plugin", distribution="two")
    registry = workshop.load()

    only_good_is_on(registry)
    assert "two installed packages offer a plugin of this name (one 1.0.0 and two 1.0.0)" in reasons(registry)["bad"]


def test_a_distribution_that_is_on_the_path_twice_counts_once(workshop: Workshop) -> None:
    with_good(workshop)
    from pegboard.plugins.discovery import discover

    found = discover([*workshop.distributions(), *workshop.distributions()])
    assert list(found.candidates) == ["good"]
    assert not found.broken
