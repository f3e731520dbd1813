"""Which addresses may be called: by where they lead, whatever they are written as."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.capabilities.reach import PrivateHost, Reach, is_public
from pegboard.config.model import OutboundConfig

PRIVATE = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.9", "168.63.129.16",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::", "2001:0:1::1",
    "2001:db8::1", "100::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "5f00::1",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111",
    "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
)  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_not_of_the_internet_is_not_called(text: str):
    assert not is_public(ip_address(text))
    assert not Reach(OutboundConfig(), "caller").allows("host.test", 443, ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_of_the_internet_is_called(text: str):
    assert is_public(ip_address(text))
    assert Reach(OutboundConfig(), "caller").allows("host.test", 443, ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_address_in_disguise_is_judged_by_what_it_is(address: IPv4Address):
    number = int(address)
    for disguise in (0xFFFF << 32 | number, 0x0064FF9B << 96 | number, 0x2002 << 112 | number << 80 | 1):
        assert is_public(IPv6Address(disguise)) == is_public(address)


@given(st.ip_addresses(v=6))
def test_no_address_outside_of_global_unicast_is_public(address: IPv6Address):
    known = address.ipv4_mapped is not None or int(address) >> 32 == 0x0064FF9B << 64
    if int(address) >> 125 != 1 and not known:
        assert not is_public(address)


def reach(*entries: str, plugin: str = "caller") -> Reach:
    return Reach(OutboundConfig(private_hosts={plugin: list(entries)}), "caller")


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("127.0.0.1", "localhost", 8080, "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", 8080, "::ffff:127.0.0.1"),
        ("127.0.0.1:8080", "localhost", 8080, "127.0.0.1"),
        ("10.0.3.0/24", "model.internal", 443, "10.0.3.200"),
        ("[::1]:8080", "localhost", 8080, "::1"),
        ("::1", "localhost", 8080, "::1"),
        ("fd00::/8", "model.internal", 443, "fd12::1"),
        ("Model.Internal", "model.internal", 443, "10.9.9.9"),
        ("model.internal:11434", "model.internal", 11434, "192.168.0.4"),
        ("169.254.169.254", "169.254.169.254", 80, "169.254.169.254"),
    ],
)
def test_the_administrator_may_name_private_hosts(entry: str, host: str, port: int, address: str):
    assert reach(entry).allows(host, port, ip_address(address))
    assert reach(entry, plugin="*").allows(host, port, ip_address(address))
    assert not reach(entry, plugin="other").allows(host, port, ip_address(address))


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("127.0.0.1:8080", "localhost", 8081, "127.0.0.1"),
        ("10.0.3.0/24", "model.internal", 443, "10.0.4.1"),
        ("model.internal", "other.internal", 443, "10.9.9.9"),
        ("model.internal", "model.internal", 443, "169.254.169.254"),
        ("model.internal", "model.internal", 443, "168.63.129.16"),
        ("model.internal", "model.internal", 443, "fe80::1"),
        ("model.internal", "model.internal", 443, "0.0.0.0"),
        ("model.internal", "model.internal", 443, "224.0.0.1"),
    ],
)
def test_and_nothing_that_they_did_not_name(entry: str, host: str, port: int, address: str):
    assert not reach(entry).allows(host, port, ip_address(address))


@pytest.mark.parametrize(
    "entry", ["", "http://a", "a:0", "a:65536", "10.0.0.1/24", "[a]:1", "a b", "[::1", "10.0.0.0/33"]
)
def test_what_names_no_host_is_a_mistake(entry: str):
    with pytest.raises(ValueError, match="is no host"):
        PrivateHost.parse(entry)


def test_ports_are_the_usual_ones_or_a_private_host_s():
    plain = Reach(OutboundConfig(), "caller")
    assert [port for port in (22, 80, 443, 6379, 8080) if plain.allows_port("host.test", port)] == [80, 443]
    named = reach("127.0.0.1:8080", "model.internal", "10.0.0.0/8")
    assert named.allows_port("127.0.0.1", 8080)
    assert not named.allows_port("127.0.0.1", 8081)
    assert named.allows_port("model.internal", 11434)
    assert named.allows_port("10.1.1.1", 9)
