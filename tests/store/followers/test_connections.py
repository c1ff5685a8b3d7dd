"""A follower keeps its connection to a server open, and opens the feed again after every kind of failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from app.store import Follower, Store
from app.store import changes as changes_module
from tests.couch.misbehaving_server import CERTIFICATE, Behaviour, MisbehavingServer, Turn, answer, hang, reply, reset
from tests.store.followers.feeds import IDLE_SECONDS, PULSE_SECONDS, Recorder, follow
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase


def beats(count: int, end: bytes) -> Behaviour:
    """Answer like a long-poll: some heartbeats, and then the result."""

    def behave(turn: Turn) -> bool:
        turn.sock.sendall(reply(200).replace(b"Content-Length: 0", f"Content-Length: {count + len(end)}".encode()))
        for _ in range(count):
            if turn.ending.wait(PULSE_SECONDS):
                return False
            turn.sock.sendall(b"\n")
        turn.sock.sendall(end)
        return True

    return behave


@pytest.fixture
def followed(recorder: Recorder) -> Iterator[Callable[..., MisbehavingServer]]:
    """Follow a server with the given behaviours."""
    servers: list[tuple[MisbehavingServer, Store, Follower]] = []

    def start(*behaviours: Behaviour) -> MisbehavingServer:
        server = MisbehavingServer(*behaviours)
        store = Store(f"http://user:secret@{server.host}", "p")
        servers.append((server, store, follow(store["documents"], recorder)))
        return server

    yield start
    for server, store, follower in servers:
        follower.close()
        store.close()
        server.__exit__(None, None, None)
        follower.join()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_the_end_does_not_wait_for_a_heartbeat(recorder: Recorder, tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "IDLE_SECONDS", 60.0)
    monkeypatch.setattr(changes_module, "JOIN_SECONDS", 30.0)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with MisbehavingServer(STARTED, hang, tls=tls) as server:
        store = Store(server.url, "p")
        follower = follow(store["documents"], recorder)
        wait_until(lambda: len(server.requests) == 2)
        follower.close()
        store.close()
        follower.join()
        assert f"follower of {store['documents'].name}" not in {thread.name for thread in threading.enumerate()}
    assert len(server.requests) == 2


STARTED = answer(200, {"results": [], "last_seq": "7-x"})
CHANGE = b'{"results": [{"seq": "8-x", "id": "a", "changes": [{"rev": "1-a"}]}], "last_seq": "8-x"}'


def test_heartbeats_keep_a_feed_open(recorder: Recorder, followed: Callable[..., MisbehavingServer]) -> None:
    """Together they take longer than the idle limit. A feed that a busy machine lets be silent is opened again."""
    feed = STARTED, beats(int(2 * IDLE_SECONDS / PULSE_SECONDS), CHANGE)
    server = followed(*feed * 100, hang)
    wait_until(lambda: ["a"] in recorder.events)
    before = recorder.events[: recorder.events.index(["a"])]
    assert before == ["caught up", *["lost", "caught up"] * (len(before) // 2)]
    target = server.requests[1].target
    assert target.startswith("/p-documents/_changes?")
    assert {"feed=longpoll", "heartbeat=1000", "since=7-x"} <= set(target.partition("?")[2].split("&"))


@pytest.mark.parametrize("behaviour", [hang, beats(3, b""), reset, answer(500), answer(200, {"results": []})])
def test_a_feed_that_is_silent_or_fails_is_lost(
    recorder: Recorder, followed: Callable[..., MisbehavingServer], behaviour: Behaviour
) -> None:
    followed(STARTED, behaviour, behaviour, STARTED, hang)
    wait_until(lambda: "lost" in recorder.events)
    assert recorder.events[:2] == ["caught up", "lost"]
