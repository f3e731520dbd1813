"""Plugins load in an order that depends on what they declare, never on how they are listed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pegboard.plugins.order import cycles, resolve
from pegboard_sdk.manifest import Manifest

SDK = "1.0.0"


def manifest(name: str, **fields: Any) -> Manifest:
    return Manifest(name=name, summary="A plugin.", **{"version": "1.0.0", "sdk": ">=1,<2", **fields})


def manifests(edges: dict[str, set[str]], *, soft: bool = False) -> dict[str, Manifest]:
    table = "after" if soft else "requires"
    return {name: manifest(name, **{table: dict.fromkeys(others, ">=1")}) for name, others in edges.items()}


NAMES = st.sampled_from([f"plugin_{letter}" for letter in "abcdefgh"])


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    """Any dependencies between a few plugins, circles included."""
    names = draw(st.sets(NAMES, min_size=1))
    return {name: draw(st.sets(st.sampled_from(sorted(names)))) - {name} for name in names}


@st.composite
def layered(draw: st.DrawFn) -> dict[str, set[str]]:
    """Dependencies without a circle: each plugin needs some of those before it."""
    names = draw(st.permutations([f"plugin_{letter}" for letter in "abcdefg"]))
    return {name: draw(st.sets(st.sampled_from(names[:at]))) if at else set() for at, name in enumerate(names)}


def reach(edges: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(edges[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(edges[name])
    return seen


@given(edges=layered(), data=st.data())
def test_the_order_is_the_same_however_plugins_are_listed(edges: dict[str, set[str]], data: st.DataObject) -> None:
    wanted = manifests(edges)
    shuffled = {name: wanted[name] for name in data.draw(st.permutations(sorted(wanted)))}

    assert resolve(shuffled, {}, sdk_version=SDK) == resolve(wanted, {}, sdk_version=SDK)


@given(edges=layered(), soft=st.booleans())
def test_everything_comes_after_what_it_depends_on(edges: dict[str, set[str]], soft: bool) -> None:
    order = resolve(manifests(edges, soft=soft), {}, sdk_version=SDK)

    assert not order.skipped
    assert set(order.names) == set(edges)
    for name, others in edges.items():
        assert all(order.names.index(other) < order.names.index(name) for other in others)


@given(edges=graphs())
def test_whatever_is_on_a_circle_or_needs_it_is_skipped_and_all_else_is_on(edges: dict[str, set[str]]) -> None:
    order = resolve(manifests(edges), {}, sdk_version=SDK)

    on_circle = {name for name in edges if name in reach(edges, name)}
    spoiled = on_circle | {name for name in edges if reach(edges, name) & on_circle}
    assert set(order.skipped) == spoiled
    assert set(order.names) == set(edges) - spoiled
    for name in on_circle:
        assert "circle" in order.skipped[name]
        assert order.skipped[name].count(name) >= 2


@given(edges=graphs())
def test_each_cycle_named_is_a_real_one(edges: dict[str, set[str]]) -> None:
    found = cycles(edges)

    for cycle in found:
        assert all(cycle[(at + 1) % len(cycle)] in edges[name] for at, name in enumerate(cycle))
    assert {name for cycle in found for name in cycle} == {name for name in edges if name in reach(edges, name)}


def test_a_circle_is_named_from_the_plugin_that_is_skipped() -> None:
    edges = {"billing": {"orders"}, "orders": {"stock"}, "stock": {"billing"}}
    order = resolve(manifests(edges), {}, sdk_version=SDK)

    assert order.names == ()
    assert order.skipped["stock"] == "its dependencies go round in a circle: stock → billing → orders → stock"


def test_the_reason_names_the_whole_chain() -> None:
    edges = {"invoices": {"orders"}, "orders": {"stock"}}
    order = resolve(manifests(edges), {"stock": "it is turned off"}, sdk_version=SDK)

    assert order.names == ()
    assert order.skipped["invoices"] == (
        "it requires orders >=1, which is off: it requires stock >=1, which is off: it is turned off"
    )


def test_a_missing_plugin_is_named() -> None:
    order = resolve({"orders": manifest("orders", requires={"stock": ">=2"})}, {}, sdk_version=SDK)

    assert order.skipped == {"orders": "it requires stock >=2, which is not installed"}


def test_a_required_plugin_of_another_version_does_not_do() -> None:
    wanted = {"orders": manifest("orders", requires={"stock": ">=2"}), "stock": manifest("stock", version="1.9")}
    order = resolve(wanted, {}, sdk_version=SDK)

    assert order.names == ("stock",)
    assert order.skipped == {"orders": "it requires stock >=2 and the installed version is 1.9"}


def test_an_optional_plugin_may_be_absent_but_not_of_another_version() -> None:
    orders = manifest("orders", after={"stock": ">=2"})

    assert resolve({"orders": orders}, {}, sdk_version=SDK).names == ("orders",)
    both = resolve({"orders": orders, "stock": manifest("stock", version="1.9")}, {}, sdk_version=SDK)
    assert both.skipped == {"orders": "it works with stock >=2 only and the installed version is 1.9"}


def test_another_sdk_is_refused_with_both_versions() -> None:
    order = resolve({"orders": manifest("orders", sdk=">=2,<3")}, {}, sdk_version=SDK)

    assert order.skipped == {
        "orders": "it needs the SDK >=2,<3 and this is 1.0.0: install a version of the plugin that fits"
    }


def test_plugins_that_do_not_depend_on_each_other_are_ordered_by_name() -> None:
    wanted = {name: manifest(name) for name in ("stock", "billing", "orders")}

    assert resolve(wanted, {}, sdk_version=SDK).names == ("billing", "orders", "stock")
