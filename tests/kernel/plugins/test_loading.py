"""A plugin's mistake is its own: it is left out with a reason that says how to mend it, and the others are on."""

import sys
from collections.abc import Callable
from typing import Any

import pegboard_sdk
import pytest
from pegboard.config.errors import ConfigError
from pegboard.plugins.registry import Registry

from tests.support.workshop import Workshop

Reasons = Callable[[Registry], dict[str, str]]

GOOD = """
from pegboard_sdk import Permission, RoleGrant, hookimpl

@hookimpl
def permissions(context):
    return [Permission(f"{context.name}:thing.read", "read things")]

@hookimpl
def roles():
    return [RoleGrant("member", ["good:thing.read"])]
"""


def with_good(workshop: Workshop) -> None:
    workshop.add("good", GOOD, permissions={"good:thing.read": "read things"})


def names(registry: Registry) -> list[str]:
    return [plugin.name for plugin in registry.plugins]


def only_good_is_on(registry: Registry) -> None:
    assert names(registry) == ["kernel", "good"]
    assert registry.permissions_of(frozenset({"member"})) >= {"good:thing.read"}


def test_a_plugin_that_keeps_its_promises_is_on(workshop: Workshop) -> None:
    with_good(workshop)
    registry = workshop.load()

    only_good_is_on(registry)
    assert not registry.skipped
    assert "good:thing.read" in registry.permissions_of(frozenset({"administrator"}))


def test_the_kernel_boots_with_no_plugin_at_all(workshop: Workshop) -> None:
    registry = workshop.load()

    assert names(registry) == ["kernel"]
    assert registry.permissions_of(frozenset({"operator"})) >= {"kernel:plugin.toggle"}


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


def test_a_plugin_that_is_turned_on_and_not_installed_is_named(workshop: Workshop, reasons: Reasons) -> None:
    with_good(workshop)
    registry = workshop.load("good", "goood")

    only_good_is_on(registry)
    assert reasons(registry) == {
        "goood": "no installed package offers it (did you mean good?): install it, or remove it from plugins.toml"
    }


# What only code tells.
NEEDS = "from pegboard_sdk import *\nfrom pegboard_sdk.http import Controller, get\nimport msgspec\n"
CODE = {
    "an error at import": ("1 / 0", "importing PACKAGE.plugin raised ZeroDivisionError: division by zero"),
    "an exit at import": ("raise SystemExit(3)", "importing PACKAGE.plugin raised SystemExit: 3"),
    "a syntax error": ("def", "raised SyntaxError"),
    "a missing module": ("import not_there_at_all", "raised ModuleNotFoundError: No module named 'not_there_at_all'"),
    "a hook that raises": (
        "@hookimpl\ndef jobs():\n    raise RuntimeError('no jobs today')",
        "its hook jobs raised RuntimeError: no jobs today",
    ),
    "a hook that is none": ("@hookimpl\ndef controlers(): return []", "it implements the hook controlers, which"),
    "a hook with another argument": ("@hookimpl\ndef jobs(app): return []", "its hooks don't fit"),
    "an async hook": ("@hookimpl\nasync def jobs(): return []", "its hook jobs is async"),
    "a wrapper": ("@hookimpl(wrapper=True)\ndef jobs():\n    return (yield)", "its hook jobs is a wrapper"),
    "no list": ("@hookimpl\ndef jobs(): return 'jobs'", "its hook jobs must return a list, not a str"),
    "another item": (
        "@hookimpl\ndef jobs(): return [1]",
        "its hook jobs must return Job or ExternalJob items, not a int",
    ),
    "another class": ("@hookimpl\ndef controllers(): return [int]", "must return Controller classes, not int"),
    "no async callable": ("@hookimpl\ndef on_startup(): return print", "its hook on_startup must return an async"),
    "a permission too many": (
        "@hookimpl\ndef permissions(): return [Permission('bad:thing.eat', 'eat')]",
        "the permissions hook returns bad:thing.eat and the manifest does not have it",
    ),
    "the operator's permission": (
        "@hookimpl\ndef roles(): return [RoleGrant('member', ['kernel:plugin.toggle'])]",
        "no plugin can grant what is the platform operator's",
    ),
    "another's permission granted": (
        "@hookimpl\ndef roles(): return [RoleGrant('member', ['good:thing.read'])]",
        "it grants 'good:thing.read' to the role member, and the manifest does not define it",
    ),
    "an event that the manifest lacks": (
        "class Done(Event):\n    name = 'bad.done'\n@hookimpl\ndef events(): return [Done]",
        "the events hook returns bad.done and the manifest does not have it",
    ),
    "a handler of an event that isn't there": (
        "class Seen(msgspec.Struct):\n    id: int\n"
        "async def handle(uow, event): pass\n"
        "@hookimpl\ndef event_handlers(): return [EventHandler(event='good.done', name='x', type=Seen, handle=handle)]",
        "the handler x waits for good.done, an event that good does not have",
    ),
    "a job of another name": (
        "class P(msgspec.Struct):\n    id: int\n"
        "async def run(uow, payload): pass\n"
        "@hookimpl\ndef jobs(): return [Job(name='good.sweep', payload=P, run=run)]",
        "the job 'good.sweep' must be named bad.<snake_case>",
    ),
    "a job twice": (
        "class P(msgspec.Struct):\n    id: int\n"
        "async def run(uow, payload): pass\n"
        "@hookimpl\ndef jobs(): return [Job(name='bad.sweep', payload=P, run=run)] * 2",
        "it brings the job bad.sweep twice",
    ),
    "a schedule of no job": (
        "class P(msgspec.Struct):\n    id: int\n"
        "async def run(uow, payload): pass\n"
        "@hookimpl\ndef schedules():\n"
        "    job = Job(name='bad.sweep', payload=P, run=run)\n"
        "    return [Schedule(name='bad.nightly', cron='0 3 * * *', job=job, payload=P(1))]",
        "the schedule bad.nightly starts bad.sweep, which the jobs hook does not return",
    ),
    "a wrong cron and zone": (
        "class P(msgspec.Struct):\n    id: int\n"
        "async def run(uow, payload): pass\n"
        "job = Job(name='bad.sweep', payload=P, run=run)\n"
        "@hookimpl\ndef jobs(): return [job]\n"
        "@hookimpl\ndef schedules():\n"
        "    return [Schedule(name='bad.a', cron='61 * * * *', job=job, payload=P(1)),\n"
        "            Schedule(name='bad.b', cron='0 3 * * *', timezone='Mars/Olympus', job=job, payload=P(1))]",
        "the schedule bad.a has a wrong cron expression: '61 * * * *'; the schedule bad.b has an unknown time zone",
    ),
    "a table that the manifest lacks": (
        "from piccolo.table import Table\nfrom pegboard_sdk.database import PiccoloApp\n"
        "class Row(Table, tablename='bad_rows'): pass\n"
        "@hookimpl\ndef piccolo_app(): return PiccoloApp(name='bad', tables=[Row], migrations='PACKAGE:migrations')",
        "the manifest does not have the table bad_rows: add it to capabilities.tables",
    ),
    "a service that isn't one": (
        "from pegboard_sdk.services import Escrow, Service\n"
        "@hookimpl\ndef services(): return [Service(Escrow, object())]",
        "object does not implement Escrow: it lacks get, open, refund, release",
    ),
    "a provider that isn't one": (
        "class Card:\n    name = 'card'\n@hookimpl\ndef payment_providers(): return [Card()]",
        "its hook payment_providers returned a Card, which is no PaymentProvider: it lacks charge",
    ),
    "a route without a declaration": (
        "import litestar\nclass Things(Controller):\n    path = '/things'\n"
        "    @litestar.get('/')\n    async def list_things(self) -> list[str]: return []\n"
        "@hookimpl\ndef controllers(): return [Things]",
        "the route Things.list_things must be made with a decorator of pegboard_sdk.http",
    ),
    "a route with another's permission": (
        "class Things(Controller):\n    path = '/things'\n"
        "    @get('/', permission='good:thing.read')\n    async def list_things(self) -> list[str]: return []\n"
        "@hookimpl\ndef controllers(): return [Things]",
        "the route Things.list_things needs the permission 'good:thing.read', which bad does not define",
    ),
    "a route that claims to be another's": (
        "class Things(Controller):\n    path = '/things'\n    opt = {'plugin': 'kernel'}\n"
        "    @get('/', public=True)\n    async def list_things(self) -> list[str]: return []\n"
        "@hookimpl\ndef controllers(): return [Things]",
        "the route Things.list_things sets the option 'plugin', which is the kernel's",
    ),
    "a name that is no text": (
        "class P(msgspec.Struct):\n    id: int\n"
        "async def run(uow, payload): pass\n"
        "@hookimpl\ndef jobs(): return [Job(name=7, payload=P, run=run)]",
        "what it brings can't be judged: AttributeError",
    ),
    "a route without a verb": (
        "class Things(Controller):\n    path = '/things'\n"
        "    @get('/', public=True)\n    async def things(self) -> list[str]: return []\n"
        "@hookimpl\ndef controllers(): return [Things]",
        "the route Things.things must be named <verb>_<noun>",
    ),
    "two routes of one name": (
        "class Things(Controller):\n    path = '/things'\n"
        "    @get('/', public=True)\n    async def list_things(self) -> list[str]: return []\n"
        "class Others(Controller):\n    path = '/others'\n"
        "    @get('/', public=True)\n    async def list_things(self) -> list[str]: return []\n"
        "@hookimpl\ndef controllers(): return [Things, Others]",
        "the routes Things.list_things and Others.list_things would both be bad_list_things to clients",
    ),
}


@pytest.mark.parametrize("mistake", CODE)
def test_bad_code_is_left_out_with_its_reason(workshop: Workshop, reasons: Reasons, mistake: str) -> None:
    code, expected = CODE[mistake]
    with_good(workshop)
    package = workshop.add("bad", NEEDS + code)
    registry = workshop.load()

    only_good_is_on(registry)
    assert expected.replace("PACKAGE", package) in reasons(registry)["bad"]


def test_a_failed_import_leaves_nothing_behind_and_can_be_tried_again(workshop: Workshop, reasons: Reasons) -> None:
    package = workshop.add("bad", "import PACKAGE.part\n1 / 0", files={"part.py": ""})
    assert "ZeroDivisionError" in reasons(workshop.load())["bad"]
    assert not workshop.imported("bad")

    (workshop.folder / package / "plugin.py").write_text(
        "# mended: it is longer, so that its stale bytecode is not used\n"
    )
    assert names(workshop.load()) == ["kernel", "bad"]


def test_the_place_of_an_import_error_is_named(workshop: Workshop, reasons: Reasons) -> None:
    package = workshop.add("bad", "from PACKAGE import part", files={"part.py": "\n\n1 / 0\n"})

    assert reasons(workshop.load())["bad"].endswith(f"({workshop.folder / package / 'part.py'}:3)")


def test_new_code_under_a_running_process_wants_a_restart(workshop: Workshop, reasons: Reasons) -> None:
    package = workshop.add("bad")
    assert names(workshop.load()) == ["kernel", "bad"]

    manifest = workshop.folder / package / "plugin.toml"
    manifest.write_text(manifest.read_text().replace("1.0.0", "1.1.0"))
    assert "version 1.1.0 is installed and this process still runs the code of 1.0.0" in reasons(workshop.load())["bad"]


def test_whatever_requires_a_failed_plugin_is_left_out_with_the_chain(workshop: Workshop, reasons: Reasons) -> None:
    with_good(workshop)
    workshop.add("bad", "1 / 0")
    workshop.add("middle", requires={"bad": ">=1"})
    workshop.add("last", requires={"middle": ">=1"})
    registry = workshop.load()

    only_good_is_on(registry)
    assert reasons(registry)["last"].startswith(
        "it requires middle >=1, which is off: it requires bad >=1, which is off: importing"
    )
    assert not workshop.imported("middle")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sdk": ">=9"}, f"it needs the SDK >=9 and this is {pegboard_sdk.__version__}"),
        ({"requires": {"absent": ">=1"}}, "it requires absent >=1, which is not installed"),
        ({"requires": {"good": ">=2"}}, "it requires good >=2 and the installed version is 1.0.0"),
        ({"requires": {"ring": ">=1"}}, "its dependencies go round in a circle: bad → ring → bad"),
    ],
)
def test_what_the_manifests_tell_together_leaves_the_others_on(
    workshop: Workshop, reasons: Reasons, fields: dict[str, Any], expected: str
) -> None:
    with_good(workshop)
    workshop.add("bad", "raise SystemExit('imported')", **fields)
    workshop.add("ring", "raise SystemExit('imported')", requires={"bad": ">=1"})
    registry = workshop.load()

    only_good_is_on(registry)
    assert reasons(registry)["bad"].startswith(expected)
    assert not workshop.imported("bad")


def test_two_plugins_that_bring_one_name_do_not_both_get_it(workshop: Workshop, reasons: Reasons) -> None:
    provider = (
        "from pegboard_sdk import hookimpl\n"
        "class Card:\n    name = 'card'\n    async def charge(self, request): ...\n"
        "    async def find(self, reference): ...\n    async def refund(self, charge, *, reference): ...\n"
        "@hookimpl\ndef payment_providers(): return [Card()]"
    )
    workshop.add("first", provider)
    workshop.add("second", provider)
    registry = workshop.load()

    assert names(registry) == ["kernel", "first"]
    assert [provider.name for provider in registry.extensions["payment_providers"]] == ["card"]
    assert reasons(registry)["second"] == "the payment provider card is already there: first brings it"


def test_tables_may_not_look_like_another_plugins(workshop: Workshop, reasons: Reasons) -> None:
    workshop.add("studio_extras")
    workshop.add(
        "studio",
        "from pegboard_sdk import hookimpl\nfrom piccolo.table import Table\n"
        "from pegboard_sdk.database import PiccoloApp\n"
        "class Row(Table, tablename='studio_extras_rows'): pass\n"
        "@hookimpl\ndef piccolo_app(): return PiccoloApp(name='studio', tables=[Row], migrations='PACKAGE:migrations')",
        tables=["studio_extras_rows"],
    )

    assert (
        reasons(workshop.load())["studio"] == "the table studio_extras_rows has the prefix of the plugin studio_extras"
    )


SETTINGS = (
    "import msgspec\nclass Settings(msgspec.Struct, frozen=True):\n    greeting: str = 'Hello'\n    times: int = 1\n"
)
USES_SETTINGS = """
from pegboard_sdk import hookimpl
from pegboard_sdk.health import HealthCheck
from PACKAGE.settings import Settings

@hookimpl
def health_checks(context):
    async def check(): return None
    return [HealthCheck(name=context.settings(Settings).greeting, check=check)]
"""


def test_hooks_see_the_plugins_settings(workshop: Workshop) -> None:
    workshop.add("greeter", USES_SETTINGS, settings="PACKAGE.settings:Settings", files={"settings.py": SETTINGS})
    registry = workshop.load(settings={"greeter": {"greeting": "Good day"}})

    assert [check.name for check in registry.plugins[1].health_checks] == ["Good day"]
    assert [type(settings).__name__ for settings in registry.settings.values()] == ["Settings"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"greetings": "Hi"}, "plugins.greeter.greetings: unknown key: did you mean greeting?"),
        ({"times": "twice"}, "plugins.greeter.times: expected a whole number, got text"),
    ],
)
def test_wrong_settings_name_the_key(
    workshop: Workshop, reasons: Reasons, settings: dict[str, Any], expected: str
) -> None:
    with_good(workshop)
    workshop.add("greeter", USES_SETTINGS, settings="PACKAGE.settings:Settings", files={"settings.py": SETTINGS})
    registry = workshop.load(settings={"greeter": settings})

    only_good_is_on(registry)
    assert expected in reasons(registry)["greeter"]


def test_settings_of_a_plugin_without_any_are_a_mistake(workshop: Workshop, reasons: Reasons) -> None:
    workshop.add("plain")

    assert (
        "plugins.plain.colour: the plugin has no settings"
        in reasons(workshop.load(settings={"plain": {"colour": "red"}}))["plain"]
    )


@pytest.mark.parametrize(
    ("struct", "expected"),
    [
        ("class Settings(msgspec.Struct): pass", "must be a frozen msgspec.Struct"),
        ("Settings = 1", "must be a frozen msgspec.Struct"),
        ("", "can't be imported: AttributeError"),
    ],
)
def test_settings_that_are_no_frozen_struct_are_refused(
    workshop: Workshop, reasons: Reasons, struct: str, expected: str
) -> None:
    workshop.add("greeter", settings="PACKAGE.settings:Settings", files={"settings.py": f"import msgspec\n{struct}\n"})

    assert expected in reasons(workshop.load())["greeter"]


def test_a_plugin_may_add_a_hook_that_others_implement(workshop: Workshop) -> None:
    workshop.add(
        "host",
        "from pegboard_sdk.hookspecs import hookspec\n"
        "@hookspec\ndef host_greeters(context):\n    '''Things that greet.'''\n",
    )
    guest = "from pegboard_sdk import hookimpl\n@hookimpl\ndef host_greeters(context): return [context.name]"
    workshop.add("guest", guest, requires={"host": ">=1"})
    workshop.add("another", guest, requires={"host": ">=1"})

    assert workshop.load().extensions == {"host_greeters": ("another", "guest")}


def test_a_hook_of_a_plugin_that_is_off_is_optional_only_if_it_says_so(workshop: Workshop, reasons: Reasons) -> None:
    workshop.add("strict_guest", "from pegboard_sdk import hookimpl\n@hookimpl\ndef host_greeters(): return [1]")
    workshop.add(
        "easy_guest", "from pegboard_sdk import hookimpl\n@hookimpl(optionalhook=True)\ndef host_greeters(): return [1]"
    )
    registry = workshop.load()

    assert names(registry) == ["kernel", "easy_guest"]
    assert "it implements the hook host_greeters, which neither" in reasons(registry)["strict_guest"]


def test_of_two_services_the_later_plugins_counts(workshop: Workshop) -> None:
    service = (
        "from pegboard_sdk import hookimpl\nfrom pegboard_sdk.services import Consent, Service\n"
        "class Mine:\n    plugin = 'NAME'\n    async def has(self, uow, *, account_id, purpose): return True\n"
        "@hookimpl\ndef services(): return [Service(Consent, Mine())]"
    )
    workshop.add("built_in", service.replace("NAME", "built_in"))
    workshop.add("a_replacement", service.replace("NAME", "a_replacement"), after={"built_in": ">=1"})
    registry = workshop.load()

    from pegboard_sdk.services import Consent

    assert registry.services[Consent].plugin == "a_replacement"


def test_strict_refuses_to_start_and_names_every_reason(workshop: Workshop) -> None:
    with_good(workshop)
    workshop.add("bad", "1 / 0")
    workshop.add("worse", sdk=">=9")
    with pytest.raises(ConfigError) as caught:
        workshop.load(strict=True)

    assert [one.key for one in caught.value.all] == ["plugins.bad", "plugins.worse"]
    assert "strict = true: importing" in caught.value.reason


def test_a_disabled_plugin_does_not_trouble_strict(workshop: Workshop) -> None:
    with_good(workshop)
    workshop.add("bad", "1 / 0")

    only_good_is_on(workshop.load("good", disabled=("bad",), strict=True))


def test_loading_twice_gives_the_same_and_leaves_no_global_behind(workshop: Workshop) -> None:
    with_good(workshop)
    modules = set(sys.modules)
    first = workshop.load()
    second = workshop.load()

    assert names(first) == names(second)
    assert first.role_permissions == second.role_permissions
    assert {name for name in set(sys.modules) - modules if "made_up" not in name and "." not in name} == set()


def test_a_plugin_that_failed_elsewhere_is_left_out_with_what_requires_it(workshop: Workshop, reasons: Reasons) -> None:
    with_good(workshop)
    workshop.add("slow")
    workshop.add("follower", requires={"slow": ">=1"})
    registry = workshop.load(failed={"slow": "its on_startup failed: TimeoutError"})

    only_good_is_on(registry)
    assert reasons(registry) == {
        "slow": "its on_startup failed: TimeoutError",
        "follower": "it requires slow >=1, which is off: its on_startup failed: TimeoutError",
    }
