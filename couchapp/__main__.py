"""The operator's entry: python -m couchapp."""

from __future__ import annotations

import os
import signal
import sys

# Ctrl-C waits until the program is loaded: exit_status then ends it without a traceback.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

from couchapp.cli import main
from couchapp.console import exit_status

if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:], os.environ)))
