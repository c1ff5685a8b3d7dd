"""The processes that the supervisor starts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

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


def test_repeated_signals_do_not_keep_what_follows_from_running() -> None:
    """`timeout make run` sends two SIGTERMs; the second may arrive at a thread that is not the supervisor's."""
    script = """if True:
        import signal, socket, sys, threading, time
        from app.server.supervisor import supervise

        def work(_):
            print("started", flush=True)
            signal.sigwait({signal.SIGTERM})

        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        supervise(work, [socket.create_server(("127.0.0.1", 0))], 30)
        sys.stdin.read()  # Until the last signal is sent.
        print("stopped its database", flush=True)
    """
    command = [sys.executable, "-W", "ignore", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "started\n"
        for _ in range(10):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.02)
        process.stdin.close()
        assert process.stdout.read() == "stopped its database\n"
    assert process.returncode == 0
