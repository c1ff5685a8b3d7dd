"""A relay in front of a service that can cut all connections, as a network does."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import AbstractContextManager, suppress

PIECE_BYTES = 2**16


class Relay(AbstractContextManager["Relay"]):
    """Pass on connections to ``address``. ``received`` is everything that clients have sent."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._upstream = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.received = b""
        self._lock, self._open = threading.Lock(), set[socket.socket]()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """Close every connection."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._pass_on, args=[client])
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server, suppress(OSError):
            with self._lock:
                self._open |= {client, server}
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(PIECE_BYTES)
                    if not data:
                        return
                    if source is client:
                        with self._lock:
                            self.received += data
                    (server if source is client else client).sendall(data)
