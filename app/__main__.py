"""The operator's entry: `python -m app run|serve|keys …`."""

import sys

from app.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
