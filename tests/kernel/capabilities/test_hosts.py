"""Which addresses a plugin may call."""

import msgspec
import pytest
from pegboard.capabilities.hosts import HostRule, destination_of
from pegboard.plugins.rules import Known, problems
from pegboard_sdk.outbound import OutboundAddressInvalid

from tests.kernel.capabilities.conftest import made_up


@pytest.mark.parametrize(
    ("rule", "url", "allowed"),
    [
        ("api.example.com", "https://api.example.com/v1", True),
        ("api.example.com", "https://API.Example.com.:8443/v1", True),
        ("api.example.com", "https://example.com/", False),
        ("api.example.com", "https://api.example.com.evil.net/", False),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://badexample.com/", False),
        ("*", "http://anything.test/", True),
        ("*:443", "https://anything.test/", True),
        ("*:443", "http://anything.test/", False),
        ("localhost:8000", "http://localhost:8000/", True),
        ("localhost:8000", "http://localhost:8001/", False),
        ("127.0.0.1", "http://127.0.0.1:9/", True),
        ("127.0.0.1", "http://[::1]/", False),
        ("bücher.example", "https://xn--bcher-kva.example/", False),
        ("xn--bcher-kva.example", "https://bücher.example/", True),
    ],
)
def test_a_rule_means_its_host_and_no_other(rule: str, url: str, allowed: bool):
    assert HostRule.parse(rule).allows(destination_of(url)) is allowed


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "/path",
        "ftp://a/",
        "file:///etc/passwd",
        "http://",
        "http://user:pw@a/",
        "http://a:99999/",
        "http://a b/",
    ],
)
def test_what_is_no_address_is_not_called(url: str):
    with pytest.raises(OutboundAddressInvalid):
        destination_of(url)


def test_what_is_shown_holds_no_query():
    assert destination_of("https://a.test:8443/x/y?key=1#part").shown == "https://a.test:8443/x/y"
    assert destination_of("https://a.test/?key=1").shown == "https://a.test/"
    assert destination_of("http://[::1]:8000/").shown == "http://[::1]:8000/"


def test_a_configured_address_means_its_host_and_port():
    rule = HostRule.of_url("http://127.0.0.1:8000/v1")
    assert rule is not None
    assert rule.allows(destination_of("http://127.0.0.1:8000/other"))
    assert not rule.allows(destination_of("http://127.0.0.1/v1"))
    assert HostRule.of_url("") is None


def test_a_setting_that_there_is_not_keeps_the_plugin_from_being_on():
    plugin = made_up("shop", outbound_hosts=["settings:address", "settings:adress"], settings=Settings())
    assert list(problems(plugin, Known({}))) == [
        "capabilities.outbound_hosts has settings:adress, and its settings have no field adress"
    ]


class Settings(msgspec.Struct, frozen=True):
    address: str = ""


def test_what_is_shown_can_be_written_down():
    assert destination_of("https://api.example.com/a%00b%0A?key=secret").shown == "https://api.example.com/a%00b%0A"
