"""Choose a port for a server that cannot choose one by itself, or that is started again at its port."""

from __future__ import annotations

import secrets
import socket

# The system takes the ports of outgoing connections and of port 0 from above these (Linux: from 32768).
PORTS = range(10_000, 30_000)
ATTEMPTS = 100


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free, and that the system gives nobody else before the server has it."""
    for _ in range(ATTEMPTS):
        port = secrets.choice(PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError(f"{ATTEMPTS} ports were in use")


def reserve_port() -> socket.socket:
    """Return a socket that has a free port of 127.0.0.1.

    It does not listen, so that our servers can listen there one after the other, and no other process gets the port.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
