"""Threads for an event loop: which one works next, how calls wait for one, and how they end."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator

import pytest

from app.server.thread_pool import ThreadPool
from tests.waiting import MAX_WAIT_SECONDS, wait_until

pytestmark = pytest.mark.nodatabase


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """Two threads at most."""
    pool = ThreadPool(2)
    yield pool
    pool.close()


class Busy:
    """Occupies both threads of a pool until it is released."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool, self._release = pool, threading.Event()

    async def __aenter__(self) -> Busy:
        begun = threading.Barrier(3)
        self._tasks = [asyncio.create_task(self._pool.run(self._work, begun, MAX_WAIT_SECONDS)) for _ in range(2)]
        await asyncio.to_thread(begun.wait, MAX_WAIT_SECONDS)
        return self

    def _work(self, begun: threading.Barrier) -> None:
        begun.wait(MAX_WAIT_SECONDS)
        self._release.wait(MAX_WAIT_SECONDS)

    def release(self) -> None:
        """Let the threads go on."""
        self._release.set()

    async def __aexit__(self, *_: object) -> None:
        self.release()
        await asyncio.gather(*self._tasks)


def test_a_result_and_an_exception_reach_their_caller(pool: ThreadPool) -> None:
    async def call() -> None:
        assert await pool.run(int, "12", MAX_WAIT_SECONDS) == 12
        with pytest.raises(ValueError, match="invalid literal"):
            await pool.run(int, "x", MAX_WAIT_SECONDS)

    asyncio.run(call())


def test_a_thread_that_cannot_start_takes_no_place(pool: ThreadPool, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def call() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            for _ in range(2):
                with pytest.raises(RuntimeError):
                    await pool.run(int, "1", MAX_WAIT_SECONDS)
        assert await pool.run(int, "12", MAX_WAIT_SECONDS) == 12

    asyncio.run(call())


def test_the_thread_that_worked_last_works_next(pool: ThreadPool) -> None:
    async def call() -> None:
        async with Busy(pool):
            pass
        threads = set()
        for _ in range(5):
            wait_until(lambda: pool.idle_threads == 2)
            threads.add(await pool.run(lambda _: threading.get_ident(), None, MAX_WAIT_SECONDS))
        assert len(threads) == 1

    asyncio.run(call())


def test_a_call_waits_for_a_thread(pool: ThreadPool) -> None:
    async def call() -> None:
        async with Busy(pool) as busy:
            waiting = asyncio.create_task(pool.run(int, "12", MAX_WAIT_SECONDS))
            await asyncio.sleep(0)
            assert not waiting.done()
            busy.release()
            assert await waiting == 12

    asyncio.run(call())


def test_a_call_that_no_thread_takes_in_time_is_never_made(pool: ThreadPool) -> None:
    made: list[int] = []

    async def call() -> None:
        async with Busy(pool):
            with pytest.raises(TimeoutError):
                await pool.run(made.append, 1, 0.01)

    asyncio.run(call())
    pool.close()
    assert made == []


def test_a_cancelled_call_that_waits_is_never_made(pool: ThreadPool) -> None:
    made: list[int] = []

    async def call() -> None:
        async with Busy(pool):
            waiting = asyncio.create_task(pool.run(made.append, 1, MAX_WAIT_SECONDS))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])

    asyncio.run(call())
    pool.close()
    assert made == []


def test_a_started_call_is_not_limited(pool: ThreadPool) -> None:
    begun, release = threading.Event(), threading.Event()

    def work(_: object) -> bool:
        begun.set()
        return release.wait(MAX_WAIT_SECONDS)

    async def call() -> None:
        task = asyncio.create_task(pool.run(work, None, 0.0))
        await asyncio.to_thread(begun.wait, MAX_WAIT_SECONDS)
        await asyncio.sleep(0)
        release.set()
        assert await task

    asyncio.run(call())


def test_calls_whose_loop_was_closed_still_end(pool: ThreadPool) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def work(_: object) -> None:
        begun.set()
        release.wait(MAX_WAIT_SECONDS)
        ended.set()

    async def give_up() -> None:
        asyncio.create_task(pool.run(work, None, MAX_WAIT_SECONDS))  # noqa: RUF006 - It is given up.
        await asyncio.to_thread(begun.wait, MAX_WAIT_SECONDS)

    asyncio.run(give_up())
    release.set()
    pool.close()
    assert ended.is_set()


def test_closing_lets_waiting_calls_be_made_and_refuses_new_ones(pool: ThreadPool) -> None:
    async def call() -> None:
        async with Busy(pool) as busy:
            waiting = asyncio.create_task(pool.run(int, "12", MAX_WAIT_SECONDS))
            await asyncio.sleep(0)
            busy.release()
            pool.close()
            assert await waiting == 12
        with pytest.raises(RuntimeError):
            await pool.run(int, "12", MAX_WAIT_SECONDS)

    asyncio.run(call())


def test_an_idle_thread_keeps_nothing_of_its_last_call(pool: ThreadPool) -> None:
    class Argument:
        """Something large."""

    gone = threading.Event()

    async def call() -> None:
        argument = Argument()
        weakref.finalize(argument, gone.set)
        await pool.run(lambda _: None, argument, MAX_WAIT_SECONDS)

    asyncio.run(call())
    assert gone.wait(MAX_WAIT_SECONDS)
