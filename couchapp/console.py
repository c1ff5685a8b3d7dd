"""Runs a command so that Ctrl-C, a reader that has left and a full disk end it without a traceback."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable

# The statuses that shells give to commands that a signal has ended: 128 and its number.
INTERRUPTED = 128 + signal.SIGINT
READER_GONE = 128 + signal.SIGPIPE
# The errors of a write that finds no space (write(2)).
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def exit_status(main: Callable[[], int]) -> int:
    """Return the status of ``main``, 130 after Ctrl-C, 141 if the reader has closed the pipe, and 1 without space."""
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
        _discard_output()
        return READER_GONE
    except OSError as error:
        if error.errno not in NO_SPACE:
            raise
        _discard_output()
        sys.stderr.write(f"error: the output could not be written: {error.strerror}\n")
        return 1


def _discard_output() -> None:
    """Let the interpreter succeed when it flushes stdout again at its end (Python's documentation of SIGPIPE)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
