"""The operator's entry: `python -m app run|serve|keys …`."""

import sys

from app.cli.main import main
from couchapp.console import exit_status

if __name__ == "__main__":
    sys.exit(exit_status(main))
