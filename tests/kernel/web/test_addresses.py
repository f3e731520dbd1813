"""Whose request it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.web.addresses import Addresses

PROXY = "10.0.0.1"


def test_forwarded_header_from_a_stranger_does_not_count():
    assert Addresses([PROXY]).caller("203.0.113.9", b"198.51.100.1") == "203.0.113.9"


def test_without_trusted_proxies_the_header_never_counts():
    assert Addresses([]).caller(PROXY, b"198.51.100.1") == PROXY


def test_the_caller_is_the_last_hop_that_is_not_a_proxy():
    addresses = Addresses(["10.0.0.0/8"])
    assert addresses.caller(PROXY, b"1.1.1.1, 198.51.100.1, 10.2.3.4") == "198.51.100.1"


def test_what_a_caller_puts_in_front_changes_nothing():
    """A caller can only add to the left of what the proxies add."""
    addresses = Addresses([PROXY])
    assert addresses.caller(PROXY, b"127.0.0.1, 8.8.8.8, 198.51.100.1") == "198.51.100.1"


def test_a_hop_that_is_no_address_ends_the_search():
    assert Addresses([PROXY]).caller(PROXY, b"198.51.100.1, unknown") == PROXY


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_rates_are_counted_by_subscriber(address: str, group: str):
    assert Addresses([]).group(address) == group


@given(st.binary(max_size=200))
def test_any_header_gives_some_address(header: bytes):
    caller = Addresses(["10.0.0.0/8"]).caller(PROXY, header)
    assert caller
    assert "," not in caller
