"""The log on stderr, as text for people or as a JSON object a line for machines; never a key or a cursor."""

from __future__ import annotations

import io
import logging
import logging.config
import os
import re
import select
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING
from urllib.parse import quote

from pythonjsonlogger.json import JsonFormatter

from app.request_context import RequestRecord

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# The log shows none of these, and each costs a look-up per line (Python's logging HOWTO, "Optimization").
logging.logThreads = logging.logMultiprocessing = logging.logAsyncioTasks = False  # type: ignore[attr-defined]

# The attributes of every record; the others are the facts of its message.
COMMON = {*vars(logging.makeLogRecord({})), "message", "asctime"}

MAX_TEXT_CHARACTERS = 1000
# Characters that need no escape in a line of text.
PLAIN = re.compile(rf"[!-$&-~]{{0,{MAX_TEXT_CHARACTERS}}}", re.ASCII)
# The parameters that are shown, unless their value is long; a cursor or a ticket is not.
SHOWN_PARAMETERS = re.compile(r"(?<![^&])(?:limit|order|project_id|ids)=[0-9a-z,%]{1,100}(?![^&])", re.ASCII)
# The text of a key or a ticket, which a client may send in the wrong place.
KEY = re.compile(r"ds_[a-z0-9]{1,16}_[0-9A-Za-z._-]{12,}", re.ASCII)


class JSONLines(JsonFormatter):
    """Render a record of Python's logging, with its facts, as a JSON object."""

    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"
    default_time_format = "%Y-%m-%dT%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return without_keys(super().format(record))


class TextLines(logging.Formatter):
    """Render a record of Python's logging, with its facts in brackets, for people."""

    default_msec_format = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it the traceback."""
        return without_keys(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line without a traceback."""
        facts = ", ".join(f"{name}={value}" for name, value in vars(record).items() if name not in COMMON)
        return super().formatMessage(record) + (f" ({facts})" if facts else "")


def configure(form: str) -> None:
    """Send Python's logging to stderr; ``form`` is `text` or `json`."""
    formatters = {
        "json": {
            "()": JSONLines,
            "fmt": "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger", "process": "pid"},
        },
        "text": {"()": TextLines, "fmt": "%(asctime)s %(levelname)s %(message)s", "datefmt": "%H:%M:%S"},
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": formatters,
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form, "stream": "ext://sys.stderr"}},
            "root": {"level": "INFO", "handlers": ["stderr"]},
            "loggers": {"uvicorn": {"level": "WARNING"}},
        }
    )


def form_of(setting: str) -> str:
    """Return `text` or `json` for a value of DREAMSCRIPT_LOG."""
    if setting != "auto":
        return setting
    return "text" if sys.stderr.isatty() else "json"


class Lossy(io.FileIO):
    """A file that drops bytes instead of failing to write them."""

    def write(self, data: ReadableBuffer, /) -> int:
        """Return the number of bytes that were written or dropped."""
        size = len(memoryview(data))
        try:
            written = super().write(data)
        except OSError:
            return size
        # None if the descriptor does not block and nobody reads.
        return size if written is None else written


class AccessLog:
    """Write a line for each finished request to ``descriptor``. Thread-safe.

    Lines are collected until they fill a buffer, or until ``flush``: a system call for each would cost more than the
    line. No write is larger than the system writes to a pipe in one piece, so that processes do not mix their lines.
    After ``end`` each line is written at once. A log that cannot be written fails no request.
    """

    def __init__(self, form: str, descriptor: int) -> None:
        self._render: Callable[[RequestRecord, float], str] = {"text": as_text, "json": as_json}[form]
        self._file = io.BufferedWriter(Lossy(descriptor, "wb", closefd=False), select.PIPE_BUF)
        self._is_ending = False

    def report(self, record: RequestRecord) -> None:
        """Add a line."""
        self._file.write(without_keys(self._render(record, time.time())).encode())
        if self._is_ending:
            self.flush()

    def flush(self) -> None:
        """Write the collected lines."""
        self._file.flush()

    def end(self) -> None:
        """Write the collected lines, and every later one at once."""
        self._is_ending = True
        self.flush()


def as_text(record: RequestRecord, moment: float) -> str:
    """Return a line for people, which begins with the local time."""
    target = escaped(record.path) + (f"?{query}" if (query := shown_query(record.query)) else "")
    facts = [f"from {escaped(record.client)}", f"{record.body_bytes} bytes"]
    if record.principal is not None:
        facts.append(f"principal {record.principal}, key {record.key_id}")
    if record.is_cached:
        facts.append("cached")
    if record.waited_seconds:
        facts.append(f"waited {record.waited_seconds:.1f} s")
    facts.append(f"id {record.request_id}")
    head = f"{local_second(int(moment))} {record.method:7} {record.status} {record.seconds * 1000:8.2f} ms"
    return f"{head}  {target}  ({', '.join(facts)})\n"


def as_json(record: RequestRecord, moment: float) -> str:
    """Return a JSON object and a line end, without the members that are not known.

    The json module takes three times as long, which is a tenth of the time of a cached read.
    """
    line = (
        f'{{"time": "{utc_second(int(moment))}.{int(moment * 1000) % 1000:03d}Z", "level": "INFO", '
        f'"logger": "dreamscript.access", "pid": {os.getpid()}, "message": "request", '
        f'"request_id": {quoted(record.request_id)}, "client": {quoted(escaped(record.client))}, '
        f'"method": {quoted(record.method)}, "path": {quoted(escaped(record.path))}, "status": {record.status}, '
        f'"duration_ms": {record.seconds * 1000:.2f}, "bytes": {record.body_bytes}'
    )
    if record.query and (query := shown_query(record.query)):
        line += f', "query": {quoted(query)}'
    if record.route is not None:
        line += f', "route": {quoted(record.route)}'
    if record.principal is not None:
        line += f', "principal": {quoted(record.principal)}, "key_id": {record.key_id}'
    if record.waited_seconds:
        line += f', "waited_ms": {record.waited_seconds * 1000:.0f}'
    return line + (', "cache": "hit"}\n' if record.is_cached else "}\n")


def without_keys(line: str) -> str:
    """Return ``line`` with the texts of keys hidden: a client may even send one as its X-Request-ID."""
    return KEY.sub("ds_[hidden]", line) if "ds_" in line else line


def escaped(text: str) -> str:
    """Return a text of a client, percent-encoded where it needs that, and cut to MAX_TEXT_CHARACTERS."""
    if PLAIN.fullmatch(text):
        return text
    return quote(text.encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~[]")[:MAX_TEXT_CHARACTERS]


def shown_query(query: str) -> str:
    """Return the parameters of a query that may be logged."""
    return "&".join(SHOWN_PARAMETERS.findall(query)) if query else ""


@lru_cache(1)
def utc_second(second: int) -> str:
    """Return a second since the epoch as RFC 3339 text without a zone."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(1)
def local_second(second: int) -> str:
    """Return the local time of day of a second since the epoch."""
    return time.strftime("%H:%M:%S", time.localtime(second))
