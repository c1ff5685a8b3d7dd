"""Runs worker processes that share a port and the memory made before them, and replaces those that crash."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger("dreamscript.server")

STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
AWAITED = STOPPING | {signal.SIGCHLD, signal.SIGALRM}
# So that a worker that cannot start does not keep the machine busy.
RESTART_SECONDS = 0.1


def supervise(
    work: Callable[[socket.socket], None],
    listeners: Sequence[socket.socket],
    grace_seconds: int,
    is_database_kept: Callable[[], bool] = lambda: True,
) -> bool:
    """Keep a process running ``work`` on each listener until SIGTERM or SIGINT; then end all, by force after the grace.

    ``is_database_kept`` is called when a child of this process has ended. If it returns False, the workers are ended
    as well. Returns whether a signal asked for the end.

    A listener outlives its worker, so that the connections that wait on it are answered by the next one. A worker keeps
    only its own: a listener that any process holds still takes connections, which nobody would accept.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        report_signals(writer)
        # A child that ended before the signals were reported is noticed at once.
        writer.send(bytes((signal.SIGCHLD,)))
        try:
            return _keep_running(work, listeners, grace_seconds, is_database_kept, reader)
        finally:
            signal.set_wakeup_fd(-1)


def _keep_running(
    work: Callable[[socket.socket], None],
    listeners: Sequence[socket.socket],
    grace_seconds: int,
    is_database_kept: Callable[[], bool],
    reader: socket.socket,
) -> bool:
    """Start the workers, and act on each signal that ``reader`` reports until all have ended, as ``supervise`` does."""
    running = {start(work, listener, listeners): listener for listener in listeners}
    is_stopping, is_kept = False, True
    while running:
        number = reader.recv(1)[0]
        if number == signal.SIGCHLD and not is_stopping:
            is_kept = is_database_kept()
        if (number in STOPPING or not is_kept) and not is_stopping:
            is_stopping = True
            log.info("stopping")
            for listener in listeners:
                listener.close()
            send(running, signal.SIGTERM)
            signal.alarm(grace_seconds)
        elif number == signal.SIGALRM:
            log.error("workers did not end in time")
            send(running, signal.SIGKILL)
        for pid, code in ended(running):
            listener = running.pop(pid)
            if not is_stopping:
                log.error("worker ended", extra={"worker": pid, "exit_code": code})
                time.sleep(RESTART_SECONDS)
                running[start(work, listener, listeners)] = listener
    return is_kept


def report_signals(writer: socket.socket) -> None:
    """Have the number of each awaited signal written to ``writer``. From now on none of them ends the process.

    Blocking them and waiting would not do: the system hands a blocked signal to another thread, and that ends the
    process before its database is stopped.
    """
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno())
    for number in AWAITED:
        signal.signal(number, lambda *_: None)


def start(work: Callable[[socket.socket], None], listener: socket.socket, listeners: Sequence[socket.socket]) -> int:
    """Return the id of a new process. ``work`` must set its own handlers and unblock the signals."""
    # What arrives before the worker has handlers of its own waits until it unblocks the signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for other in listeners:
            if other is not listener:
                other.close()
        work(listener)
        code = 0
    except BaseException:
        log.exception("worker failed")
    finally:
        # The parent's context managers and exit handlers are not this process's own.
        os._exit(code)


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes, none of which has been waited for yet."""
    for pid in pids:
        os.kill(pid, number)


def ended(running: Iterable[int]) -> list[tuple[int, int]]:
    """Return the ids and exit codes of those that have ended; a negative code is a signal."""
    statuses = [os.waitpid(pid, os.WNOHANG) for pid in running]
    return [(pid, os.waitstatus_to_exitcode(status)) for pid, status in statuses if pid]
