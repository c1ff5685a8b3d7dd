"""The processes that the supervisor starts."""

from __future__ import annotations

import os
import socket

import pytest

from app.server.supervisor import start

pytestmark = pytest.mark.nodatabase


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_worker_keeps_no_listener_but_its_own() -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]

    def work(own: socket.socket) -> None:
        assert [each.fileno() >= 0 for each in listeners] == [each is own for each in listeners]

    pid = start(work, listeners[1], listeners)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for each in listeners:
        assert each.fileno() >= 0
        each.close()
