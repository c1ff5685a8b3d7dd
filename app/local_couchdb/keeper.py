"""Runs a database server for as long as its own standard input stays open; run as a script, never imported.

The starter holds the other end of that pipe, so the server ends with it however it ends, SIGKILL included.
Keeper and server share a session of their own: Ctrl-C in a terminal reaches the service only, which can then
drain while its database still answers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE = 10  # Seconds that a server is given to stop by itself.


def stop_at_end_of_input(server: subprocess.Popen[bytes]) -> None:
    """Wait for the end of standard input, then stop ``server``, by force once its time is over."""
    os.read(0, 1)
    server.terminate()
    try:
        server.wait(GRACE)
    except subprocess.TimeoutExpired:
        server.kill()


def main(lock: int, command: list[str]) -> None:
    """Run ``command``; it inherits ``lock``, which is so free only when keeper and server are both gone."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[lock])  # noqa: S603
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.terminate())
    threading.Thread(target=stop_at_end_of_input, args=[server], daemon=True).start()
    server.wait()
    # Whatever the server started and left behind is in this process's group, and goes with it.
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
