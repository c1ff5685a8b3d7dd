"""Kill or pause all processes of a private database server at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ProcessGroup:
    """The server with its files in ``directory``, and the keeper that started it, which leads the group."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def kill(self) -> None:
        """Kill all processes at once, like a power loss; data written by the system stays."""
        self._signal(signal.SIGKILL)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the processes: connections are accepted and never answered."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # The lock names the process group.
        os.killpg(int((self._directory / "lock").read_text()), number)
