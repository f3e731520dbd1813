"""A plugin's mistake is its own: it is left out with a reason that says how to mend it, and the others are on."""

import sys
from collections.abc import Callable
from typing import Any

import pegboard_sdk
import pytest
from pegboard.config.errors import ConfigError
from pegboard.plugins.registry import Registry

from tests.kernel.plugins.good import names, only_good_is_on, with_good
from tests.support.workshop import Workshop

Reasons = Callable[[Registry], dict[str, str]]


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
