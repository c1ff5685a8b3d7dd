"""Ends with status 0 if the service in this container answers: the health check of the image, which has no curl."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 3


def main() -> int:
    """Ask for /livez, and return the exit status."""
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("DREAMSCRIPT_PORT", "8000")), timeout=SECONDS)
    try:
        connection.request("GET", "/livez")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, HTTPException) as error:
        sys.stderr.write(f"/livez does not answer: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
