"""`make demo`: the service as `make run` starts it, or the one that runs already, and the offline editor beside it."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from app.cli import editor_server
from app.cli.banner import NEW_KEY, DevelopmentKey
from app.cli.development_key import CURRENT
from app.cli.run import Show, start
from app.settings import Settings
from couchapp import running
from couchapp.settings import SettingError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HOST = "127.0.0.1"
STOP_SECONDS = 5


def register(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser("demo", help="as run, and open the offline editor of examples/editor/")
    command.set_defaults(command=demo)


def demo(_: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve the editor until SIGTERM or SIGINT. Raises SettingError if its port is in use."""
    settings = Settings.parse(environ)
    with listener(settings) as sock, editor(sock) as show:
        current = None if settings.couchdb_url else running.current(settings.var)
        if current is None or not current.address:
            return start(environ, show)
        file = settings.var / CURRENT
        signals = stop_signals()
        show(current.address, DevelopmentKey(file if file.exists() else None))
        print("Ctrl-C ends the editor, and leaves the service running.", flush=True)
        signals.get()
    return 0


def stop_signals() -> SimpleQueue[int]:
    """Return a queue of the signals SIGTERM and SIGINT, so that both end the command with status 0, as in `serve`.

    Unlike an event, it may be written to by a handler that interrupts the reader.
    """
    signals: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: signals.put(received))
    return signals


@contextmanager
def listener(settings: Settings) -> Iterator[socket.socket]:
    """Yield a socket for the editor: a browser stores its documents by the port, which is the next one after the API's.

    Raises SettingError if another program has it.
    """
    port = settings.port + 1 if settings.port else 0
    try:
        sock = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise SettingError(
            f"DREAMSCRIPT_PORT must leave the next port free for the editor, and {HOST}:{port} is not: stop the program"
            " there, or choose another port"
        ) from error
    with sock:
        yield sock


@contextmanager
def editor(sock: socket.socket) -> Iterator[Show]:
    """Yield a function that serves the editor in a process of its own, until the context ends, and prints its URL."""
    processes: list[subprocess.Popen[bytes]] = []

    def show(service_url: str, key: DevelopmentKey) -> None:
        command = [sys.executable, editor_server.__file__, str(sock.fileno()), service_url]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[sock.fileno()]))  # noqa: S603
        url = f"http://{HOST}:{sock.getsockname()[1]}/"
        print(block(url, service_url, key), flush=True)
        open_browser(url)

    try:
        yield show
    finally:
        for process in processes:
            process.communicate(timeout=STOP_SECONDS)


def block(url: str, service_url: str, key: DevelopmentKey) -> str:
    """Return the lines that show the editor's URL and the key. The person pastes the key, so that no URL holds it."""
    rows = [("Editor", url), ("Service", service_url), ("Key", _text(key))]
    lines = [f"  {name:11}{text}" for name, text in rows]
    return "\n".join(["", "The offline editor is ready. Open it, and paste the key into its form:", "", *lines, ""])


def _text(key: DevelopmentKey) -> str:
    """Return the key, or the command that creates one."""
    if key.file is None:
        return f"create one in a second terminal: {NEW_KEY}"
    return key.text or key.file.read_text().strip()


def open_browser(url: str, environ: Mapping[str, str] = os.environ) -> None:
    """Open ``url`` in a browser with windows; one for terminals would cover the log."""
    if sys.platform == "darwin" or any(environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")):
        webbrowser.open(url)
