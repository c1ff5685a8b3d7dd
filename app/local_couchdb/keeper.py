"""Runs a database server while standard input stays open; run as a script of its own.

The starter holds the other end of that pipe, so the server ends when the starter ends, even by SIGKILL. Keeper and
server have their own session: Ctrl-C in a terminal reaches the service only, which can then drain while its database
still answers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

ENDED = "the server ended"  # Begins the last line of the log.
GRACE_SECONDS = 10  # Then the server is killed.


def stop_at_end_of_input(server: subprocess.Popen[bytes]) -> None:
    """Wait for the end of standard input, then terminate ``server``, and kill it if it does not end in time."""
    os.read(0, 1)
    server.terminate()
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()


def ending(code: int) -> str:
    """Return the words for an exit code; a negative one is a signal."""
    return f"with status {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


def main(lock: int, command: list[str]) -> None:
    """Run ``command``; it inherits ``lock``, which is released only when both keeper and server have ended."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[lock])  # noqa: S603
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.terminate())
    threading.Thread(target=stop_at_end_of_input, args=[server], daemon=True).start()
    code = server.wait()
    print(f"{ENDED} {ending(code)}", file=sys.stderr, flush=True)  # noqa: T201 - into the log
    # Processes that the server started and left behind are in this process group.
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
