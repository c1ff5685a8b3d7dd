"""Runs a command so that Ctrl-C, and a reader of its output that has left, end it without a traceback."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

# The statuses that shells give to commands that a signal has ended: 128 and its number.
INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 128 + signal.SIGPIPE


def exit_status(main: Callable[[], int]) -> int:
    """Return the status of ``main``, 130 after Ctrl-C, and 141 if the reader of a pipe has closed it."""
    try:
        # A launcher may have blocked Ctrl-C while this program was loaded; one that is pending arrives here.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            return main()
        finally:
            # Also when argparse ends the program after --help.
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout again at its end (Python's documentation of SIGPIPE in `signal`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
