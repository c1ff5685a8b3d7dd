"""Shows the steps of a long start: a line that is rewritten on a terminal, and plain lines anywhere else."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

Report = Callable[[str], None]

CLEAR_LINE = "\r\x1b[K"
TICK_SECONDS = 1.0
# A step that takes less is not worth a line of its own on a terminal.
MIN_SHOWN_SECONDS = 1.0


class Steps:
    """Shows each step while it runs, and how long it took. ``clock`` counts seconds."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream or sys.stdout, clock
        self.is_terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"

    @contextmanager
    def step(self, title: str, expected: str = "", *, is_ticking: bool = True) -> Iterator[Report]:
        """Show ``title`` while the context lasts, and ``expected`` as the duration or size to expect.

        If it ``is_ticking``, the seconds count on a terminal even without a new detail.

        Yields a function that shows a detail, such as the file being downloaded, on a terminal only.
        """
        line = _Line(self, title, expected, is_ticking)
        line.begin()
        try:
            yield line.detail
        except BaseException as error:
            line.end("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        line.end("done")

    def print(self, text: str) -> None:
        """Write a line at once."""
        self.write(text + "\n")

    def write(self, text: str) -> None:
        """Write ``text`` at once."""
        self._stream.write(text)
        self._stream.flush()

    def now(self) -> float:
        """Return the seconds on the clock."""
        return self._clock()


class _Line:
    """The line of one step."""

    def __init__(self, steps: Steps, title: str, expected: str, is_ticking: bool) -> None:
        self._steps, self._title, self._expected = steps, title, expected
        self._detail, self._began = "", steps.now()
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True) if is_ticking else None

    def begin(self) -> None:
        if self._steps.is_terminal:
            self._draw()
            if self._ticker:
                self._ticker.start()
        else:
            self._steps.print(f"{self._title}{f' ({self._expected})' if self._expected else ''} ...")

    def detail(self, text: str) -> None:
        self._detail = "".join(character for character in text if character.isprintable()).strip()
        if self._steps.is_terminal:
            self._draw()

    def end(self, outcome: str) -> None:
        seconds = self._steps.now() - self._began
        is_shown = seconds >= MIN_SHOWN_SECONDS or outcome != "done"
        if self._steps.is_terminal:
            self._ended.set()
            if self._ticker:
                self._ticker.join()
            self._steps.write(CLEAR_LINE)
        if is_shown:
            self._steps.print(f"{self._title}: {outcome} ({seconds:.0f} s)")

    def _tick(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            self._draw()

    def _draw(self) -> None:
        seconds = self._steps.now() - self._began
        expected = f" ({self._expected})" if self._expected else ""
        text = f"{self._title} ... {seconds:.0f} s{f': {self._detail}' if self._detail else expected}"
        with self._lock:
            self._steps.write(CLEAR_LINE + text[: shutil.get_terminal_size().columns - 1])
