"""Accepts connections for the fault proxy, and closes all of them at once."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable

# Seconds between two checks whether the listener is to end.
POLL_SECONDS = 0.02


class Listener(socketserver.ThreadingTCPServer):
    """Accept connections and serve each in a thread, until closed."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, serve: Callable[[socket.socket], None]) -> None:
        super().__init__(("127.0.0.1", port), socketserver.BaseRequestHandler)
        self._serve_client = serve
        self._clients: set[socket.socket] = set()
        self._clients_lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=[POLL_SECONDS])
        self._thread.start()

    def end(self) -> None:
        """Close the port and every connection, and wait for the threads. Idempotent."""
        if not self._thread.is_alive():
            return
        self.shutdown()
        self._thread.join()
        self.socket.close()
        with self._clients_lock:
            for client in self._clients:
                # The client may have left; its thread is about to notice.
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Record the connection before its thread starts."""
        assert isinstance(request, socket.socket)
        with self._clients_lock:
            self._clients.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], _: object) -> None:
        """Serve one connection to its end; either side may leave at any moment."""
        assert isinstance(request, socket.socket)
        with contextlib.suppress(OSError):
            self._serve_client(request)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close one connection without a shutdown, which would undo the reset that a fault prepared."""
        assert isinstance(request, socket.socket)
        with self._clients_lock:
            self._clients.discard(request)
            request.close()
