"""Log one JSON object a line on stderr: principal, request, status and duration; never a key."""

from __future__ import annotations

import logging
from typing import Any

# The log shows none of these, and each costs a look-up per line (Python's logging HOWTO, "Optimization").
logging.logThreads = logging.logMultiprocessing = logging.logAsyncioTasks = False  # type: ignore[attr-defined]

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger", "process": "pid"},
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {"uvicorn": {"level": "WARNING"}},
}
