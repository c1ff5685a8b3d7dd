"""Serves the files of the offline editor, for `make demo` and the tests; as a program, it needs Python alone."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples" / "editor"


class EditorServer(ThreadingHTTPServer):
    """Serve the editor on a socket that listens already, and offer the URL of the service to its form."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, service_url: str) -> None:
        handler = partial(_Handler, service_url=service_url)
        super().__init__(listener.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, *arguments: object, service_url: str) -> None:
        self._service = json.dumps({"url": service_url}).encode()
        # Browsers run modules of this type only, and some machines know another one.
        self.extensions_map = {**self.extensions_map, ".js": "text/javascript"}
        super().__init__(*arguments, directory=str(FOLDER))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer with a file, or with the URL of the service."""
        if self.path != "/service.json":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self._service)))
        self.end_headers()
        self.wfile.write(self._service)

    def end_headers(self) -> None:
        """Let the browser ask for each file again, since there is no version in their names."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Log nothing: the terminal shows the log of the service."""


def main(descriptor: str, service_url: str) -> None:
    """Serve on an inherited socket until the standard input ends, as it does when the parent ends for any reason."""
    # Ctrl-C goes to the parent too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with EditorServer(socket.socket(fileno=int(descriptor)), service_url) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
