"""Answers with pages that were given before, each good for as long as nothing in its databases has changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import NamedTuple

from app.cache.body_cache import BodyCache

# What an entry takes beside its body, in bytes, measured on CPython 3.11.
OVERHEAD = 2_000

# What a page was asked for with: by whom, under which address, with which query.
Asked = tuple[str, ...]
Headers = list[tuple[str, str]]
Marks = dict[str, int | None]


class Answered(NamedTuple):
    """A whole answer without what differs from request to request."""

    tag: str
    headers: Headers
    body: bytes
    marks: Marks


class Pages:
    """Keeps up to ``most_bytes`` of answers, those that were last asked for; threads may share it."""

    def __init__(self, current: Mapping[str, BodyCache], most_bytes: int) -> None:
        self._current, self._most_bytes = current, most_bytes
        self._lock = Lock()
        self._answers: OrderedDict[Asked, Answered] = OrderedDict()
        self.bytes = 0

    def get(self, asked: Asked) -> Answered | None:
        """Return what was answered, if it would be answered again."""
        with self._lock:
            found = self._answers.get(asked)
            if found is None:
                return None
            self._answers.move_to_end(asked)
        is_current = all(self._current[name].is_valid(mark) for name, mark in found.marks.items())
        return found if is_current else None

    def marks(self) -> Marks:
        """Return marks to be taken before a page is read."""
        return {name: current.token() for name, current in self._current.items()}

    def keep(self, asked: Asked, answered: Answered) -> Answered:
        """Remember and return an answer; not if it is too large, or if something was just changing when it was made."""
        if None in answered.marks.values() or len(answered.body) + OVERHEAD > self._most_bytes:
            return answered
        with self._lock:
            self._drop([self._answers.pop(asked, None)])
            self._answers[asked] = answered
            self.bytes += len(answered.body) + OVERHEAD
            while self.bytes > self._most_bytes:
                self._drop([self._answers.popitem(last=False)[1]])
        return answered

    def renew(self, asked: Asked, tag: str, marks: Marks) -> Answered | None:
        """Return what was answered, if it is known and was found to be the same after ``marks`` were taken."""
        with self._lock:
            found = self._answers.get(asked)
        return self.keep(asked, found._replace(marks=marks)) if found and found.tag == tag else None

    def _drop(self, answers: Iterable[Answered | None]) -> None:
        self.bytes -= sum(len(answer.body) + OVERHEAD for answer in answers if answer)
