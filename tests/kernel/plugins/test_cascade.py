"""What hangs on a plugin goes with it, completely and in order."""

from hypothesis import given
from hypothesis import strategies as st
from pegboard.plugins.cascade import loading_order, needed_by, spoiled, which_need
from pegboard_sdk.manifest import Manifest


def manifest(name: str, requires: set[str], version: str = "1.0.0", after: dict[str, str] | None = None) -> Manifest:
    return Manifest(
        name=name,
        summary="A plugin.",
        version=version,
        sdk=">=1,<2",
        requires=dict.fromkeys(sorted(requires), ">=1"),
        after=after or {},
    )


@st.composite
def installed(draw: st.DrawFn) -> dict[str, Manifest]:
    """Plugins that require some of those before them."""
    names = draw(st.permutations([f"plugin_{letter}" for letter in "abcdefg"]))
    return {
        name: manifest(name, draw(st.sets(st.sampled_from(names[:at]))) if at else set())
        for at, name in enumerate(names)
    }


def sound(on: set[str], manifests: dict[str, Manifest]) -> bool:
    return all(set(manifests[name].requires) <= on for name in on)


@given(manifests=installed(), data=st.data())
def test_with_what_it_needs_a_plugin_can_be_on(manifests: dict[str, Manifest], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(manifests)))
    needed = needed_by([name], set(), manifests)

    assert sound({name, *needed}, manifests)
    for at in range(len(needed)):
        assert sound(set(needed[:at]), manifests), "turned on in this order, nothing is ever without what it needs"
    for one in needed:
        assert not sound({name, *needed} - {one}, manifests), "nothing is turned on that need not be"


@given(manifests=installed(), data=st.data())
def test_without_what_needs_it_a_plugin_can_go(manifests: dict[str, Manifest], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(manifests)))
    on = set(manifests)
    going = which_need([name], on, manifests)

    assert sound(on - {name, *going}, manifests)
    for at in range(len(going) + 1):
        assert sound(on - set(going[:at]), manifests), "turned off in this order, nothing is ever without what it needs"
    for one in going:
        assert not sound((on - {name, *going}) | {one}, manifests), "nothing is turned off that need not be"


@given(manifests=installed(), data=st.data())
def test_the_order_depends_on_names_and_manifests_only(manifests: dict[str, Manifest], data: st.DataObject) -> None:
    names = data.draw(st.permutations(sorted(manifests)))

    assert loading_order(names, manifests) == loading_order(sorted(manifests), manifests)


def test_what_is_on_already_is_not_named() -> None:
    manifests = {
        "shop": manifest("shop", {"stock"}),
        "stock": manifest("stock", {"base"}),
        "base": manifest("base", set()),
    }

    assert needed_by(["shop"], {"stock", "base"}, manifests) == []
    assert needed_by(["shop"], {"base"}, manifests) == ["stock"]
    assert needed_by(["shop"], set(), manifests) == ["base", "stock"]
    assert which_need(["base"], {"base", "stock", "shop"}, manifests) == ["shop", "stock"]
    assert which_need(["base"], {"base", "shop"}, manifests) == []


def test_what_is_not_installed_comes_last() -> None:
    manifests = {"shop": manifest("shop", {"stock", "absent"}), "stock": manifest("stock", set())}

    assert needed_by(["shop"], set(), manifests) == ["stock", "absent"]


def test_a_circle_ends() -> None:
    manifests = {"hen": manifest("hen", {"egg"}), "egg": manifest("egg", {"hen"})}

    assert needed_by(["hen"], set(), manifests) == ["egg"]
    assert which_need(["hen"], {"hen", "egg"}, manifests) == ["egg"]
    assert set(spoiled(set(), {"hen", "egg"}, manifests)) == {"hen", "egg"}


def test_a_soft_dependency_of_another_version_spoils_who_wants_it() -> None:
    manifests = {"shop": manifest("shop", set(), after={"stock": ">=2"}), "stock": manifest("stock", set())}

    assert spoiled({"shop"}, {"shop", "stock"}, manifests) == {
        "shop": "it works with stock >=2 only and the installed version is 1.0.0"
    }
