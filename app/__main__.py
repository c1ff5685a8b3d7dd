"""The operator's entry: `python -m app COMMAND`; app/cli/main.py lists the commands."""

import signal
import sys

# Ctrl-C waits until the program is loaded: exit_status then ends it without a traceback.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

from app.cli.main import main
from couchapp.console import exit_status

if __name__ == "__main__":
    sys.exit(exit_status(main))
