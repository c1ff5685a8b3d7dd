"""Builds every service of a process once, from the settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial

from app.cache.response_cache import ResponseCache
from app.domain.background import Background, Job
from app.domain.changes.cursor import ChangeCursors
from app.domain.changes.tickets import Tickets
from app.domain.conflicts.reducer import Reducer
from app.domain.conflicts.resolver import Resolver
from app.domain.history.capture import Capture
from app.domain.history.retention import Sweep
from app.domain.idempotency import Idempotency
from app.domain.keys.authenticator import Authenticator
from app.domain.keys.keys import Keys
from app.domain.keys.usage import Usage
from app.domain.listing.cursors import Cursors
from app.domain.readiness import Readiness
from app.domain.reservations import Reservations
from app.domain.resources import KEY, now
from app.item_wiring import TYPES, ItemWiring
from app.metric_definitions import EVENTS, RATE_LIMITED, READS, SLOW_STREAMS, UNLIMITED
from app.metrics import Metrics
from app.request_context import Report, RequestRecord, unreported
from app.services import Services, Shared
from app.settings import Settings


def build_services(
    settings: Settings,
    now: Callable[[], datetime] = now,
    shared: Shared | None = None,
    report: Report = unreported,
) -> Services:
    """Wire the services of one process. Without ``shared`` it shares nothing with others.

    ``report`` receives each finished request, from the response cache and from Flask alike.
    """
    return _Wiring(settings, now, shared or Shared.build(settings), report).services()


class _Wiring(ItemWiring):
    """The other parts: keys, repeated requests, the response cache, and background jobs."""

    def __init__(self, settings: Settings, now: Callable[[], datetime], shared: Shared, report: Report) -> None:
        super().__init__(settings, now, shared)
        self._report = report
        start_counters(shared.metrics, settings)

    def services(self) -> Services:
        """Return the services."""
        settings, meta = self._settings, self._store["meta"]
        return Services(
            settings=settings,
            store=self._store,
            documents=self._documents,
            projects=self._projects,
            keys=self._keys,
            usage=self._usage,
            authenticator=self._authenticator,
            cursors=Cursors(settings.secrets),
            changes=self._changes,
            change_cursors=self._change_cursors,
            conflicts=self._conflicts,
            change_tickets=Tickets(settings.secrets, self._change_cursors, self._now),
            versions=self._versions,
            idempotency=self._idempotency,
            reservations=Reservations(self._store.feed("meta"), settings.secrets, self._now),
            readiness=Readiness(self._store),
            limiter=self._shared.limiter,
            body_caches={each.resource_type.database: each for each in self._caches.values()},
            followers={each.database: follower for each, follower in self._followers.items()},
            response_cache=self._response_cache,
            metrics=self._metrics,
            report=self._report_counted,
            background=Background(meta, self._jobs(), self._now),
            capture=self._capture,
            judge=self._judge,
            resolver=self._resolver,
        )

    @cached_property
    def _change_cursors(self) -> ChangeCursors:
        return ChangeCursors(self._settings.secrets)

    @cached_property
    def _idempotency(self) -> Idempotency:
        return Idempotency(self._store["meta"], self._settings.deadline + 2, self._now)

    @cached_property
    def _usage(self) -> Usage:
        return Usage(self._store["meta"], self._idempotency.sweep)

    @cached_property
    def _keys(self) -> Keys:
        return Keys(self._store["keys"], self._allocator(KEY), self._usage, self._settings.secrets, self._now)

    @cached_property
    def _authenticator(self) -> Authenticator:
        return Authenticator(self._keys, self._usage.note, self._settings.out_of_scope, self._now, time.monotonic)

    @cached_property
    def _response_cache(self) -> ResponseCache:
        caches = {each.database: cache for each, cache in self._caches.items()}
        limiter, count_miss = self._shared.limiter, partial(self._metrics.count, READS, "miss")
        return ResponseCache(self._settings, caches, self._authenticator, limiter, count_miss, self._report_counted)

    def _report_counted(self, record: RequestRecord) -> None:
        self._metrics.count_answer(record)
        self._report(record)

    @cached_property
    def _capture(self) -> Capture | None:
        history = self._settings.history
        return Capture(self._store, TYPES, history, self._metrics, self._now) if history else None

    @cached_property
    def _resolver(self) -> Resolver:
        reducer = Reducer(self._judge, self._leaves, self._save_versions, self._metrics)
        return Resolver(reducer, self._leaves, self._databases, self._metrics)

    def _jobs(self) -> list[Job]:
        history, capture = self._settings.history, self._capture
        if not history or not capture:
            return [self._resolver]
        return [self._resolver, capture, Sweep(self._store, history, self._metrics, self._now)]


def start_counters(metrics: Metrics, settings: Settings) -> None:
    """Report these as 0 before anything happens, so that queries see their first increase."""
    for counter in (UNLIMITED, EVENTS, SLOW_STREAMS):
        metrics.count(counter, times=0)
    for cache in ("hit", "miss"):
        metrics.count(READS, cache, times=0)
    for policy in settings.rate_limit:
        metrics.count(RATE_LIMITED, policy.name, times=0)
