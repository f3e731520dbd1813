"""Whose request it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.web.addresses import Addresses

PROXY = "10.0.0.1"


def xff(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"a"), *((b"x-forwarded-for", value) for value in values)]


def forwarded(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"a"), *((b"forwarded", value) for value in values)]


def test_forwarded_header_from_a_stranger_does_not_count():
    assert Addresses([PROXY]).caller("203.0.113.9", xff(b"198.51.100.1")) == "203.0.113.9"


def test_without_trusted_proxies_the_header_never_counts():
    assert Addresses([]).caller(PROXY, xff(b"198.51.100.1")) == PROXY


def test_the_caller_is_the_last_hop_that_is_not_a_proxy():
    addresses = Addresses(["10.0.0.0/8"])
    assert addresses.caller(PROXY, xff(b"1.1.1.1, 198.51.100.1, 10.2.3.4")) == "198.51.100.1"


def test_what_a_caller_puts_in_front_changes_nothing():
    """A caller can only add to the left of what the proxies add."""
    addresses = Addresses([PROXY])
    assert addresses.caller(PROXY, xff(b"127.0.0.1, 8.8.8.8, 198.51.100.1")) == "198.51.100.1"


def test_a_hop_that_is_no_address_ends_the_search():
    assert Addresses([PROXY]).caller(PROXY, xff(b"198.51.100.1, unknown")) == PROXY


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
    caller = Addresses(["10.0.0.0/8"]).caller(PROXY, xff(header))
    assert caller
    assert "," not in caller


def test_networks_of_proxies_may_be_of_both_families():
    addresses = Addresses(["10.0.0.0/8", "fd00::/8"])
    assert addresses.caller("fd00::1", xff(b"2001:db8::7, 10.1.1.1, fd12::9")) == "2001:db8::7"
    assert addresses.caller("::ffff:10.0.0.1", xff(b"198.51.100.1")) == "198.51.100.1"


def test_lines_of_a_header_are_one_list():
    """A proxy that adds a line of its own stands to the right of what came in."""
    assert Addresses([PROXY]).caller(PROXY, xff(b"127.0.0.1", b"198.51.100.1")) == "198.51.100.1"
    assert Addresses(["10.0.0.0/8"]).caller(PROXY, xff(b"8.8.8.8, 198.51.100.1", b"10.2.3.4")) == "198.51.100.1"


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        (b"198.51.100.1:4711", "198.51.100.1"),
        (b"[2001:db8::7]:4711", "2001:db8::7"),
        (b"[2001:db8::7]", "2001:db8::7"),
        (b"2001:DB8:0::7", "2001:db8::7"),
    ],
)
def test_a_hop_may_have_a_port(hop: bytes, address: str):
    assert Addresses([PROXY]).caller(PROXY, xff(hop)) == address


def test_the_nearest_trusted_hop_stands_for_whom_it_does_not_name():
    assert Addresses(["10.0.0.0/8"]).caller(PROXY, xff(b"198.51.100.1, unknown, 10.2.3.4")) == "10.2.3.4"


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"for=198.51.100.1", "198.51.100.1"),
        (b'For="[2001:db8::7]:4711";proto=https;by=10.0.0.1', "2001:db8::7"),
        (b'proto=https;host="a,b;c";for=198.51.100.1', "198.51.100.1"),
        (b"for=127.0.0.1, for=198.51.100.1;proto=http, for=10.2.3.4", "198.51.100.1"),
        (b"for=198.51.100.1, for=_hidden", PROXY),
        (b"for=198.51.100.1, for=unknown", PROXY),
        (b"for=198.51.100.1, proto=https", PROXY),
        (b'for="198.51.100.1, for=8.8.8.8', PROXY),
        (b"nonsense", PROXY),
    ],
)
def test_the_standard_s_header(header: bytes, address: str):
    addresses = Addresses(["10.0.0.0/8"], forwarded_by="forwarded")
    assert addresses.caller(PROXY, forwarded(header)) == address
    assert addresses.caller("203.0.113.9", forwarded(header)) == "203.0.113.9"


def test_only_the_header_that_proxies_set_counts():
    """The other one comes as the caller wrote it."""
    headers = [*xff(b"1.1.1.1"), *forwarded(b"for=198.51.100.1")]
    assert Addresses([PROXY]).caller(PROXY, headers) == "1.1.1.1"
    assert Addresses([PROXY], forwarded_by="forwarded").caller(PROXY, headers) == "198.51.100.1"


@given(st.binary(max_size=200), st.sampled_from(["203.0.113.5", "2001:db8::5"]))
def test_what_is_to_the_left_of_a_proxy_s_word_changes_nothing(left: bytes, caller: str):
    headers = xff(left.replace(b"\n", b"") + b", " + caller.encode())
    assert Addresses([PROXY]).caller(PROXY, headers) == caller


@given(st.binary(max_size=200))
def test_any_standard_header_gives_some_address(header: bytes):
    assert Addresses(["10.0.0.0/8"], forwarded_by="forwarded").caller(PROXY, forwarded(header))


def test_the_network_that_counts_as_one_caller_can_be_set():
    assert Addresses([], ipv6_prefix=56).group("2001:db8:1:2ff:3:4:5:6") == "2001:db8:1:200::/56"
