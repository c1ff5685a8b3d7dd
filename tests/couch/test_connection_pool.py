"""Check that a write is sent once, a read at most twice, and that no answer reaches another thread or process."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.couch.connection import AnswerLost, Connection, Refused
from tests.couch.misbehaving_server import (
    Behaviour,
    Turn,
    answer,
    echo,
    reply,
    reset,
    send,
    speaking,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase

CUT = send(reply(200, b'{"rows": []}')[:-1], keep=False)
SHUT = send(b"", keep=False)
HTML = send(reply(500, b"<html>" + b"x" * 9_000, "Content-Type: text/html"))


@pytest.mark.parametrize("failure", [reset, CUT, SHUT], ids=["reset", "cut", "shut"])
@pytest.mark.parametrize(("method", "read"), [("PUT", None), ("POST", None), ("DELETE", None), ("GET", False)])
def test_a_write_is_sent_once(failure: Behaviour, method: str, read: bool | None) -> None:
    with speaking(failure, echo) as (connection, server), pytest.raises(AnswerLost):
        connection.request(method, "db", body={}, read=read)
    assert len(server.requests) == 1


@pytest.mark.parametrize("failure", [reset, CUT, SHUT], ids=["reset", "cut", "shut"])
@pytest.mark.parametrize(("method", "read"), [("GET", None), ("POST", True)])
def test_a_read_is_sent_at_most_twice(failure: Behaviour, method: str, read: bool | None) -> None:
    with speaking(failure, echo, failure) as (connection, server):
        assert connection.request(method, "db", read=read).body == {"target": "/db"}
        with pytest.raises(AnswerLost):
            connection.request(method, "db", read=read)
    assert len(server.requests) == 4


def close_after(turn: Turn) -> bool:
    """Answer as if the connection stayed open, and close it."""
    echo(turn)
    return False


def reset_after(turn: Turn) -> bool:
    """Answer as if the connection stayed open, and reset it."""
    echo(turn)
    return reset(turn)


@pytest.mark.parametrize("behaviour", [close_after, reset_after])
def test_a_closed_connection_is_noticed_before_a_write(behaviour: Behaviour) -> None:
    with speaking(behaviour, answer(201)) as (connection, server):
        connection.get("db")
        assert server.gone.acquire(timeout=30)
        assert connection.put("db", "x", body={}).status == 201
    assert [(request.method, request.connection) for request in server.requests] == [("GET", 0), ("PUT", 1)]


def test_a_connection_with_an_unexpected_answer_is_dropped() -> None:
    first_read, extra_sent = threading.Event(), threading.Event()

    def answer_twice(turn: Turn) -> bool:
        """Answer, and later send another answer."""
        echo(turn)
        first_read.wait(30)
        answer(200, {"target": "/unexpected"})(turn)
        extra_sent.set()
        return True

    with speaking(answer_twice, echo) as (connection, server):
        connection.get("first")
        first_read.set()
        assert extra_sent.wait(30)
        assert connection.get("second").body == {"target": "/second"}
    assert [request.connection for request in server.requests] == [0, 1]


def test_a_connection_without_its_final_answer_is_dropped() -> None:
    with speaking(send(b"HTTP/1.1 103 Early Hints\r\n\r\n"), echo) as (connection, server):
        with pytest.raises(AnswerLost):
            connection.put("first", body={})
        assert connection.get("second").body == {"target": "/second"}
    assert [request.connection for request in server.requests] == [0, 1]


def test_connection_close_is_honoured() -> None:
    with speaking(send(reply(200, b"{}", "Connection: close")), echo) as (connection, server):
        connection.get("first")
        connection.get("second")
    assert [request.connection for request in server.requests] == [0, 1]


def sometimes_html(turn: Turn) -> bool:
    """Fail with a long page for every third target, end the connection after every fifth, and echo the rest."""
    number = int(turn.request.target.rpartition("-")[2])
    return HTML(turn) if number % 3 == 0 else echo(turn) and number % 5 > 0


def test_no_thread_gets_the_answer_of_another() -> None:
    def ask(name: str) -> str:
        try:
            return str(connection.get(name).body["target"])
        except Refused as refusal:
            return str(refusal.status)

    names = [f"{thread}-{number}" for number in range(60) for thread in range(8)]
    with speaking(sometimes_html) as (connection, _), ThreadPoolExecutor(8) as threads:
        targets = list(threads.map(ask, names))
    assert targets == ["500" if int(name.rpartition("-")[2]) % 3 == 0 else f"/{name}" for name in names]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_opens_its_own_connections() -> None:
    with speaking(echo) as (connection, server):
        connection.get("parent-before")
        child = os.fork()
        if child == 0:
            os._exit(_ask_in_child(connection))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert connection.get("parent-after").body == {"target": "/parent-after"}
    used = {request.target: request.connection for request in server.requests}
    assert used == {"/parent-before": 0, "/child-1": 1, "/child-2": 1, "/parent-after": 0}


def _ask_in_child(connection: Connection) -> int:
    try:
        targets = [connection.get(name).body["target"] for name in ("child-1", "child-2")]
        connection.close()
    except BaseException:
        return 2
    return 0 if targets == ["/child-1", "/child-2"] else 1


def test_a_request_in_flight_at_the_close_leaves_no_connection() -> None:
    is_closed = threading.Event()

    def answer_late(turn: Turn) -> bool:
        is_closed.wait(30)
        return echo(turn)

    with speaking(answer_late) as (connection, server), ThreadPoolExecutor(1) as thread:
        response = thread.submit(connection.put, "db", body={})
        wait_until(lambda: server.requests)
        connection.close()
        is_closed.set()
        assert response.result().body == {"target": "/db"}
        assert server.gone.acquire(timeout=30)


def test_an_incomplete_last_response_leaves_no_connection() -> None:
    with speaking(answer(200), send(reply(200, b"{}", "Connection: close")[:-1])) as (connection, server):
        connection.get("warm")
        with pytest.raises(AnswerLost) as failure:
            connection.put("db", body={}, timeout=0.3)
        # Its traceback still refers to the response.
        assert server.gone.acquire(timeout=30)
        assert isinstance(failure.value.__cause__, TimeoutError)


def test_a_closed_connection_can_be_used_again() -> None:
    with speaking(echo) as (connection, server):
        for name in ("a", "b"):
            assert connection.get(name).body == {"target": f"/{name}"}
            connection.close()
    assert [request.connection for request in server.requests] == [0, 1]
