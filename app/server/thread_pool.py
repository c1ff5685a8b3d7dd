"""Runs functions in threads for an event loop. Of the free threads, the one that worked last works next.

The executor of the standard library lets its threads take turns, and wakes a second one that finds nothing to do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

A = TypeVar("A")
T = TypeVar("T")


class _Job(Generic[A, T]):
    """A call of ``function``. Its result belongs to the event loop that runs when it is made."""

    def __init__(self, function: Callable[[A], T], argument: A) -> None:
        self._function, self._argument = function, argument
        self._loop = asyncio.get_running_loop()
        self.result: asyncio.Future[T] = self._loop.create_future()

    def run(self) -> None:
        """Call the function in this thread, and pass its result or its exception to the event loop."""
        try:
            deliver = partial(self._deliver, self.result.set_result, self._function(self._argument))
        except BaseException as error:
            deliver = partial(self._deliver, self.result.set_exception, error)
        # A loop that was closed meanwhile awaits nothing.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(deliver)

    def _deliver(self, setter: Callable[[Any], None], value: object) -> None:
        if not self.result.done():
            setter(value)


class ThreadPool:
    """Up to ``size`` threads, each started when it is first needed."""

    def __init__(self, size: int) -> None:
        self._size, self._is_closed = size, False
        self._threads: list[Thread] = []
        self._lock = Lock()
        # Jobs that wait for a thread, and the mailboxes of the threads that wait for a job.
        self._waiting: deque[_Job[Any, Any]] = deque()
        self._idle: list[SimpleQueue[_Job[Any, Any] | None]] = []

    @property
    def idle_threads(self) -> int:
        """The number of threads that wait for a job. A thread delivers its result before it waits again."""
        return len(self._idle)

    async def run(self, function: Callable[[A], T], argument: A, seconds: float) -> T:
        """Return the result of ``function`` in a thread.

        Raises TimeoutError if no thread is free within ``seconds``; then it is not called. A call that has begun is
        not limited. Raises RuntimeError after ``close``, and if the system starts no further thread.
        """
        job = _Job(function, argument)
        if self._start(job):
            return await job.result
        timer = asyncio.get_running_loop().call_later(seconds, self._refuse, job)
        try:
            return await job.result
        except asyncio.CancelledError:
            self._withdraw(job)
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Let the threads finish all jobs, and end."""
        with self._lock:
            self._is_closed = True
            for mailbox in self._idle:
                mailbox.put(None)
            self._idle.clear()
        for thread in self._threads:
            thread.join()

    def _start(self, job: _Job[Any, Any]) -> bool:
        """Give ``job`` to a free or new thread; return False if it has to wait for one."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the pool is closed")
            if self._idle:
                self._idle.pop().put(job)
            elif len(self._threads) < self._size:
                mailbox: SimpleQueue[_Job[Any, Any] | None] = SimpleQueue()
                mailbox.put(job)
                thread = Thread(target=self._work, args=[mailbox], daemon=True)
                thread.start()
                self._threads.append(thread)
            else:
                self._waiting.append(job)
                return False
        return True

    def _refuse(self, job: _Job[Any, Any]) -> None:
        """Raise TimeoutError where ``job`` is awaited, unless a thread has it."""
        if self._withdraw(job):
            job.result.set_exception(TimeoutError())

    def _withdraw(self, job: _Job[Any, Any]) -> bool:
        with self._lock, suppress(ValueError):
            self._waiting.remove(job)
            return True
        return False

    def _work(self, mailbox: SimpleQueue[_Job[Any, Any] | None]) -> None:
        """Run jobs, without keeping the last one in memory while there is none."""
        job = mailbox.get()
        while job is not None:
            job.run()
            del job
            job = self._next(mailbox)

    def _next(self, mailbox: SimpleQueue[_Job[Any, Any] | None]) -> _Job[Any, Any] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._is_closed:
                return None
            self._idle.append(mailbox)
        return mailbox.get()
