"""Host names in the one form in which they are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pegboard.tenancy.errors import BadHost
from pegboard.tenancy.hosts import host_of_request, normal_host
from pegboard_sdk.errors import InvalidInput

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True).filter(lambda one: "--" not in one)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join).filter(lambda one: not one.rpartition(".")[2].isdigit())


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Shop.Example.COM", "shop.example.com"),
        (" shop.example. ", "shop.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("localhost", "localhost"),
    ],
)
def test_a_name_has_one_form(written: str, kept: str) -> None:
    assert normal_host(written) == kept
    assert normal_host(kept) == kept


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "https://shop.example", "shop.example:443", "shop.example/x", "192.0.2.1", "[::1]", "a..b",
        "-a.example", "a-.example", "a_b.example", "*.example", "a b.example", "xn--a.example", "a" * 64 + ".example",
        ".".join(["abcdefgh"] * 29), "shop.example\r\nX: y", "sh\u200bop.example\x00",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        normal_host(text)


@given(NAME, st.booleans(), st.booleans(), st.none() | st.integers(0, 65535))
def test_a_request_names_it_in_any_way(name: str, upper: bool, dot: bool, port: int | None) -> None:
    text = (name.upper() if upper else name) + ("." if dot else "") + ("" if port is None else f":{port}")
    assert host_of_request([(b"accept", b"*/*"), (b"host", text.encode())]) == normal_host(name)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"a b", b"a,b", b"a@b", b"a/b", b"http://a", b"a:b", b"a:123456", b"a\tb", b"\xc3\xbc.example", b"a%2eb",
        b"[::1", b"[a]b",
    ],
)  # fmt: skip
def test_a_malformed_header_is_refused(value: bytes) -> None:
    with pytest.raises(BadHost):
        host_of_request([(b"host", value)])


def test_two_headers_are_refused_and_none_names_none() -> None:
    with pytest.raises(BadHost):
        host_of_request([(b"host", b"a.example"), (b"host", b"a.example")])
    assert host_of_request([]) == ""
