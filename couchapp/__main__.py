"""The operator's entry: python -m couchapp."""

from __future__ import annotations

import os
import sys

from couchapp.cli import main
from couchapp.console import exit_status

if __name__ == "__main__":
    sys.exit(exit_status(lambda: main(sys.argv[1:], os.environ)))
