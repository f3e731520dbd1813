"""The API's address: whatever keeps us from it is known before anything starts."""

import socket

import pytest
from pegboard.supervisor.errors import StartError
from pegboard.supervisor.ports import Address


def listener(*, shared: bool) -> socket.socket:
    """Somebody who listens, as a server that shares its port does or not."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(("127.0.0.1", 0))
    one.listen()
    return one


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_that_somebody_listens_on_is_taken(shared: bool) -> None:
    with listener(shared=shared) as other, pytest.raises(StartError, match="is taken"):
        Address("127.0.0.1", other.getsockname()[1])


def test_a_port_is_held_for_those_who_share_it() -> None:
    address = Address("127.0.0.1", 0)
    assert address.port
    with pytest.raises(StartError, match="is taken"):
        Address("127.0.0.1", address.port)
    with socket.socket() as api:
        api.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        api.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        api.bind((address.ip, address.port))
        api.listen()
        # What is held doesn't listen: every connection is the API's.
        for _ in range(20):
            with socket.create_connection((address.ip, address.port)) as client:
                accepted, peer = api.accept()
                accepted.close()
                assert peer == client.getsockname()
    address.release()
    Address("127.0.0.1", address.port).release()


def test_a_port_whose_connections_linger_is_free() -> None:
    with listener(shared=True) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # who closes first keeps the port in TIME_WAIT
    Address("127.0.0.1", port).release()


def test_addresses_that_are_not_ours_are_refused() -> None:
    with pytest.raises(StartError, match=r"192\.0\.2\.1 is not an address of this machine"):
        Address("192.0.2.1", 0)
    with pytest.raises(StartError, match="can't be resolved"):
        Address("no-such-host.invalid", 0)


def test_names_and_wildcards_become_addresses_that_a_person_can_open() -> None:
    localhost = Address("localhost", 0)
    localhost.release()
    assert localhost.url in (f"http://127.0.0.1:{localhost.port}", f"http://[::1]:{localhost.port}")
    wildcard = Address("0.0.0.0", 0)
    wildcard.release()
    assert wildcard.ip == "0.0.0.0"
    assert wildcard.url == f"http://127.0.0.1:{wildcard.port}"
