"""Answers that wait for changes: an event loop awaits them, so that no thread is occupied meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from app.domain.changes.cursor import Checkpoint
from app.http.identity import Identity

# In the WSGI environ: whether the server lets one more client wait. A server without an event loop sets nothing.
HAS_ROOM = "dreamscript.has_room"
# In the WSGI environ of a long-poll whose wait has ended: a Resumed.
RESUMED = "dreamscript.resumed"
# In the WSGI environ: the seconds that the client has waited already, for the request's record.
WAITED_SECONDS = "dreamscript.waited_seconds"

Wake = Callable[[], None]


class Resumed(NamedTuple):
    """A long-poll that runs again: it began at ``since`` unless that is None, and waits until ``deadline``.

    The deadline is a moment of the monotonic clock.
    """

    deadline: float
    since: Checkpoint | None


class Watched(Protocol):
    """Something that a client waits for."""

    @property
    def is_behind(self) -> bool:
        """Whether it cannot be watched at the moment, so that it has to be read."""

    def watch(self, wake: Wake, /) -> None:
        """Call ``wake``, in any thread, when there may be something new."""

    def close(self) -> None:
        """Stop calling ``wake``."""


class Part(NamedTuple):
    """A part of a stream, the number of changes in it, and whether nothing follows at the moment, or at all."""

    data: bytes
    changes: int = 0
    is_caught_up: bool = False
    is_end: bool = False


class Source(Watched, Protocol):
    """The events of one stream."""

    def read(self) -> Part:
        """Read the next part from the database. Raises Unavailable."""

    def take(self) -> Part | None:
        """Return the new events without waiting, perhaps none; None if they have to be read."""


@dataclass(frozen=True)
class LongPoll:
    """The answer is the first one, unless ``watched`` changes: then the request runs again, as ``resumed``.

    ``refreshed`` returns the body of the first answer with a later `next`, so that the client does not read the hidden
    changes before it again; None if the client may see one of these changes. The ``identity`` of a client
    that waits is checked again meanwhile.
    """

    identity: Identity
    watched: Watched
    resumed: Resumed
    refreshed: Callable[[], bytes | None] = lambda: None

    def close(self) -> None:
        """Stop watching."""
        self.watched.close()


@dataclass(frozen=True)
class EventStream:
    """The answer has no end: it goes on with the events of ``source``."""

    identity: Identity
    source: Source

    def close(self) -> None:
        """Stop watching."""
        self.source.close()


class WaitingBody:
    """The body of an answer that waits, as WSGI returns it.

    A server with an event loop awaits ``waiting``. Any other server iterates over the body, and the client does not
    wait: a stream ends when it has caught up. ``finish`` reports the request, once, with the seconds that the client
    has waited and the bytes of the body.
    """

    request_id = ""

    def __init__(self, waiting: LongPoll | EventStream, content: bytes) -> None:
        self.waiting, self.content = waiting, content
        self.report: Callable[[float, int], object] | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the answer of this moment."""
        yield self.content
        if isinstance(self.waiting, EventStream):
            part = Part(b"")
            while not (part.is_caught_up or part.is_end):
                part = self.waiting.source.read()
                yield part.data

    def finish(self, waited_seconds: float, body_bytes: int) -> None:
        """Report the end of the request."""
        report, self.report = self.report, None
        if report:
            report(waited_seconds, body_bytes)

    def drop(self) -> None:
        """Stop watching, and report nothing: the request runs again."""
        self.report = None
        self.waiting.close()

    def close(self) -> None:
        """End the request (PEP 3333)."""
        self.waiting.close()
        self.finish(0.0, len(self.content))
