"""Ports of the local world are free, low, and handed out once."""

from __future__ import annotations

import socket
import sys

import pytest

from local.ports import CEILING, LOWEST, free_port, release

pytestmark = pytest.mark.unit


def test_a_port_is_below_the_range_of_outgoing_connections() -> None:
    """No client that polls the port can be given it for its own end."""
    ports = [free_port() for _ in range(20)]
    assert all(LOWEST <= port < CEILING for port in ports)


def test_no_port_is_given_out_twice() -> None:
    """Two servers of one program never get the same port."""
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)


def test_a_server_can_take_the_port() -> None:
    """A server that sets SO_REUSEADDR, as those of the local world do, binds it and is reached there."""
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)) as server,
        socket.create_connection(("127.0.0.1", port), timeout=5),
    ):
        connection, _ = server.accept()
        connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port cannot be held for a server to come")
def test_another_world_is_refused_the_port_until_it_is_released() -> None:
    """What one program was given, another that looks for a free port does not find."""
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    release(port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
