"""The lines of the access log, and how they reach the log."""

from __future__ import annotations

import json
import logging
import os
import select
import socket
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from app.request_context import RequestRecord
from app.server.logs import AccessLog, JSONLines, TextLines, form_of

pytestmark = pytest.mark.nodatabase

KEY = f"ds_dev_{'a1B' * 16}x"
TICKET = f"ds_ticket_WyJ{'a1B' * 16}.o6y-z_1x{'a1B' * 8}"
RECORD = RequestRecord(
    method="GET",
    route="/documents/<id:document_id>",
    path="/documents/7",
    query="",
    status=200,
    seconds=0.001234,
    body_bytes=120,
    request_id="look-for-me",
    client="192.0.2.7",
    principal="p1",
    key_id=3,
    is_cached=True,
)
REFUSED = RECORD._replace(route=None, status=404, principal=None, key_id=None, is_cached=False)


class Log:
    """An access log into a pipe."""

    def __init__(self, form: str = "json") -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.access_log = AccessLog(form, self.writer)

    def read(self) -> str:
        """Return what has been written to the pipe."""
        try:
            return os.read(self.reader, 2**16).decode()
        except BlockingIOError:
            return ""

    def line(self, record: RequestRecord) -> str:
        """Return the line of a request."""
        self.access_log.report(record)
        self.access_log.flush()
        return self.read()

    def close(self) -> None:
        """Close both ends."""
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def log() -> Iterator[Log]:
    """A log of JSON lines."""
    with closing(Log()) as log:
        yield log


@pytest.fixture
def text_log() -> Iterator[Log]:
    """A log of text lines."""
    with closing(Log("text")) as log:
        yield log


def test_a_line_for_machines_has_every_fact(log: Log) -> None:
    line = json.loads(log.line(RECORD._replace(query="limit=5")))
    assert line.pop("time").endswith("Z")
    assert line.pop("pid") == os.getpid()
    assert line == {
        "level": "INFO",
        "logger": "dreamscript.access",
        "message": "request",
        "request_id": "look-for-me",
        "client": "192.0.2.7",
        "method": "GET",
        "path": "/documents/7",
        "query": "limit=5",
        "route": "/documents/<id:document_id>",
        "status": 200,
        "duration_ms": 1.23,
        "bytes": 120,
        "principal": "p1",
        "key_id": 3,
        "cache": "hit",
    }


def test_unknown_facts_are_absent(log: Log) -> None:
    assert not {"query", "route", "principal", "key_id", "cache"} & set(json.loads(log.line(REFUSED)))


def test_a_line_for_people(text_log: Log) -> None:
    line = text_log.line(RECORD._replace(query="limit=5"))[len("00:00:00 ") :]
    facts = "(from 192.0.2.7, 120 bytes, principal p1, key 3, cached, id look-for-me)"
    assert line == f"GET     200     1.23 ms  /documents/7?limit=5  {facts}\n"
    assert "principal" not in text_log.line(REFUSED)


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "path", ["/a\nb", '/a"b', "/a b", "/\x1b[31m", "/\xc3\xbc", "/a%41", "/\x7f", "/" + "é" * 5000]
)
def test_no_path_breaks_or_bloats_a_line(form: str, path: str) -> None:
    with closing(Log(form)) as log:
        line = log.line(REFUSED._replace(path=path))
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    assert len(line) < select.PIPE_BUF
    if form == "json":
        assert " " not in json.loads(line)["path"]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "record",
    [
        RECORD._replace(path=f"/documents/{KEY}"),
        RECORD._replace(request_id=KEY),
        RECORD._replace(client=KEY),
        RECORD._replace(query=f"ids=1&ids={KEY}"),
        RECORD._replace(path=f"/changes/{TICKET}"),
        RECORD._replace(request_id=TICKET),
    ],
    ids=["path", "request_id", "client", "query", "ticket in path", "ticket in request_id"],
)
def test_a_key_or_ticket_in_the_wrong_place_is_hidden(form: str, record: RequestRecord) -> None:
    with closing(Log(form)) as log:
        line = log.line(record)
    for secret in (KEY, TICKET):
        assert secret[:20] not in line
        assert secret[-20:] not in line


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=5&order=desc&project_id=7&ids=1,2", "limit=5&order=desc&project_id=7&ids=1,2"),
        ("cursor=c2VjcmV0&limit=5", "limit=5"),
        ("limit=5&cursor=limit=6", "limit=5"),
        ("ticket=abc&since=def&key=ghi&xlimit=5", None),
        ("ids=" + "1," * 5000, None),
        ("limit=%41&order=A\n", "limit=%41"),
    ],
)
def test_only_harmless_parameters_are_logged(log: Log, query: str, expected: str | None) -> None:
    assert json.loads(log.line(RECORD._replace(query=query))).get("query") == expected


def test_lines_are_collected_and_written_whole() -> None:
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with reader, writer:
        reader.setblocking(False)
        log = AccessLog("json", writer.fileno())
        for _ in range(50):
            log.report(RECORD)
        log.flush()
        # A datagram is one write.
        writes = []
        with suppress(BlockingIOError):
            while True:
                writes.append(reader.recv(2**16))
    assert 1 < len(writes) < 10
    assert all(len(write) <= select.PIPE_BUF and write.endswith(b"}\n") for write in writes)
    assert b"".join(writes).count(b"\n") == 50


def test_no_line_waits_after_the_end(log: Log) -> None:
    log.access_log.report(RECORD)
    log.access_log.end()
    assert log.read().count("\n") == 1
    log.access_log.report(RECORD)
    assert log.read().count("\n") == 1


def test_a_log_that_nobody_reads_blocks_and_fails_nothing() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    log = AccessLog("json", writer)
    for _ in range(1_000):
        log.report(RECORD)
    log.end()
    os.close(reader)
    os.close(writer)


def test_a_log_without_a_reader_fails_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = AccessLog("json", writer)
    for _ in range(100):
        log.report(RECORD)
    log.end()
    os.close(writer)


@pytest.mark.parametrize("setting", ["text", "json"])
def test_a_setting_chooses_the_form(setting: str) -> None:
    assert form_of(setting) == setting


def test_auto_is_json_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull, "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        assert form_of("auto") == "json"


def test_auto_is_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    main, terminal = os.openpty()
    with os.fdopen(main, "wb"), os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        assert form_of("auto") == "text"


@pytest.mark.parametrize("formatter", [JSONLines("%(message)s"), TextLines("%(message)s")], ids=["json", "text"])
def test_a_message_hides_keys_in_its_facts(formatter: logging.Formatter) -> None:
    line = formatter.format(logging.makeLogRecord({"msg": "no answer", "request_id": KEY}))
    assert "request_id" in line
    assert KEY[-20:] not in line


def test_a_message_for_people_shows_its_facts() -> None:
    record = logging.makeLogRecord({"msg": "worker ended", "levelname": "ERROR", "worker": 7, "exit_code": -9})
    line = TextLines("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S").format(record)
    assert line[len("00:00:00 ") :] == "ERROR worker ended (worker=7, exit_code=-9)"
