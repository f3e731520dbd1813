"""What plugins offer each other is what it was, and acts for the plugin that offers it."""

import dataclasses
import enum
import functools
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from pegboard.capabilities.proxy import Proxy
from pegboard.capabilities.views import offered
from pegboard.work import Work

from tests.kernel.capabilities.conftest import MakeRegistry, made_up
from tests.support.platform import TestPlatform

Who = Callable[[Any], str]


def who(uow: Any) -> str:
    """The plugin that acts."""
    return uow.plugin


class Caller:
    """Can be called, and says something of itself."""

    label = "caller"

    def __call__(self, uow: Any) -> str:
        return uow.plugin

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Any:
        return iter((1, 2))


@dataclasses.dataclass(frozen=True, slots=True)
class Rate:
    """Data only."""

    name: str
    parts: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        return self.name.title()

    def doubled(self) -> "Rate":
        return Rate(self.name * 2)

    @classmethod
    def named(cls, name: str) -> "Rate":
        return cls(name)


@dataclasses.dataclass(frozen=True)
class Step:
    """Holds something that can be called."""

    name: str
    run: Who
    more: tuple[Who, ...] = ()


@dataclasses.dataclass(frozen=True, order=True)
class Provider:
    """Does something itself."""

    name: str
    fee: int = 0

    async def who(self, uow: Any) -> str:
        return uow.plugin


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Holds something that can be called."""

    name: str
    run: Who | None = None


class Point(msgspec.Struct, frozen=True):
    """Data only."""

    x: int

    @property
    def twice(self) -> int:
        return 2 * self.x


class Colour(enum.Enum):
    """Each member can be called with something."""

    RED = 1

    def mixed(self, other: "Colour") -> "Colour":
        return other


class Named(NamedTuple):
    """Holds something that can be called."""

    name: str
    run: Who


@dataclasses.dataclass(frozen=True)
class Keyed:
    """Names a secret, which others read through it."""

    secret: str


@pytest.fixture
def work(platform: TestPlatform, with_plugins: MakeRegistry, tenant: UUID) -> Work:
    registry = with_plugins(made_up("shop"), made_up("bank"))
    return Work(None, platform.runtime, registry, platform.system(tenant), "r", plugin="shop")


@pytest.mark.parametrize(
    "thing",
    [
        None, True, 3, 2.5, "text", b"bytes", Rate, Rate("a", (1, 2)), Point(3), Colour.RED, UUID(int=1),
        (1, ("a", 2)), [1],
        {"a": Colour.RED}, {1}, frozenset({"a"}), [Rate("a"), Point(1)],
    ],
)  # fmt: skip
def test_data_are_themselves(thing: object):
    assert offered(thing, "bank") is thing


@pytest.mark.parametrize("make", [lambda: who, lambda: functools.partial(who), Caller, lambda: lambda uow: uow.plugin])
def test_whatever_can_be_called_acts_for_its_plugin(work: Work, make: Callable[[], Who]):
    assert offered(make(), "bank")(work) == "bank"
    assert work.plugin == "shop"


def test_an_object_that_can_be_called_is_what_it_was_otherwise(work: Work):
    caller = offered(Caller(), "bank")
    assert isinstance(caller, Caller)
    assert callable(caller)
    assert (caller.label, len(caller), list(caller), bool(caller)) == ("caller", 3, [1, 2], True)


@pytest.mark.parametrize("kind", [Step, lambda name, run: Rule(name=name, run=run), Named])
def test_records_that_hold_callables_stay_records(work: Work, kind: Callable[[str, Who], Any]):
    thing = kind("a", who)
    seen = offered(thing, "bank")
    assert type(seen) is type(thing)
    assert seen.name == "a"
    assert seen.run(work) == "bank"
    assert thing.run(work) == "shop"  # the plugin's own is untouched


@pytest.mark.parametrize("make", [list, tuple, lambda items: {"a": items[0]}, lambda items: [tuple(items)]])
def test_containers_are_seen_into(work: Work, make: Callable[[list[Who]], Any]):
    seen = offered(make([who, Caller()]), "bank")
    assert type(seen) is type(make([who, who]))
    while not callable(seen):
        seen = next(iter(seen.values() if isinstance(seen, dict) else seen))
    assert seen(work) == "bank"


async def test_a_dataclass_with_methods_compares_hashes_and_converts(work: Work):
    cheap, dear = Provider("a", 1), Provider("b", 2)
    seen = offered(cheap, "bank")
    assert await seen.who(work) == "bank"
    assert isinstance(seen, Provider)
    assert dataclasses.is_dataclass(seen)
    for other in (cheap, offered(cheap, "bank")):
        assert (seen == other, other == seen, seen != dear, seen < dear) == (True, True, True, True)
        assert {seen: 1}[other] == 1
    assert dataclasses.asdict(seen) == {"name": "a", "fee": 1}
    assert dataclasses.replace(seen, fee=5) == Provider("a", 5)
    match seen:
        case Provider(name=name):
            assert name == "a"
    with pytest.raises(AttributeError):
        seen.fee = 3  # pyright: ignore[reportAttributeAccessIssue]  # it is to be refused


def test_what_names_a_secret_says_whose_it_is():
    assert Proxy.owner(offered(Keyed("key"), "bank")) == "bank"
    assert Proxy.owner(offered([Keyed("key")], "bank")[0]) == "bank"
