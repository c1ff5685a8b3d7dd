"""The operator's entry: python -m couchapp."""

from __future__ import annotations

import os
import sys

from couchapp.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
