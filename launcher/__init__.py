"""Prepares a machine with nothing but Python, and starts the service; uses the standard library alone."""

import sys

# The imports of the other modules would fail on an older Python without a hint at the reason.
if sys.version_info < (3, 11):  # noqa: UP036 - the Python of the machine is any
    sys.exit(
        "error: Python 3.11 or newer is needed, and %s is %d.%d: set PYTHON, as in `make run PYTHON=python3.12`"  # noqa: UP031
        % (sys.executable, sys.version_info[0], sys.version_info[1])
    )
