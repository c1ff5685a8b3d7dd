"""The services of one process, which HTTP and the command line use alike, and the state that processes share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.cache.items import BodyCache
from app.cache.response_cache import ResponseCache
from app.cache.validity import WriteCounters
from app.domain.background import Background
from app.domain.changes.changes import Changes
from app.domain.changes.cursor import ChangeCursors
from app.domain.changes.tickets import Tickets
from app.domain.conflicts.arrivals import Arrivals
from app.domain.conflicts.conflicts import Conflicts
from app.domain.conflicts.judge import Judge
from app.domain.conflicts.resolver import Resolver
from app.domain.documents import Documents
from app.domain.history.capture import Capture
from app.domain.history.versions import Versions
from app.domain.idempotency import Idempotency
from app.domain.keys.authenticator import Authenticator
from app.domain.keys.keys import Keys
from app.domain.keys.usage import Usage
from app.domain.listing.cursors import Cursors
from app.domain.projects import Projects
from app.domain.readiness import Readiness
from app.domain.reservations import Reservations
from app.domain.resources import DOCUMENT, PROJECT, ResourceType
from app.limits.limiter import Limiter
from app.metric_definitions import CACHE_BYTES, UNLIMITED, WORKERS
from app.metrics import Metrics
from app.request_context import Report
from app.settings import Settings
from app.store import Follower, Store


@dataclass(frozen=True)
class Shared:
    """The state that the processes of a host share, created before they are forked."""

    limiter: Limiter | None
    write_counters: Mapping[str, WriteCounters]
    metrics: Metrics
    arrivals: Arrivals

    @classmethod
    def build(cls, settings: Settings) -> Shared:
        """Make it for as many processes as the settings say. It opens no connection."""
        counters = {each.database: WriteCounters(settings.workers) for each in (DOCUMENT, PROJECT)}
        metrics = Metrics(settings.workers)
        return cls(Limiter.build(settings, lambda: metrics.count(UNLIMITED)), counters, metrics, Arrivals())


@dataclass(frozen=True)
class Services:
    """The service without its front doors. Building it opens no connection."""

    settings: Settings
    store: Store
    documents: Documents
    projects: Projects
    keys: Keys
    usage: Usage
    authenticator: Authenticator
    cursors: Cursors
    changes: Changes
    change_cursors: ChangeCursors
    conflicts: Conflicts
    change_tickets: Tickets
    versions: Mapping[ResourceType, Versions]
    idempotency: Idempotency
    reservations: Reservations
    readiness: Readiness
    limiter: Limiter | None
    body_caches: Mapping[str, BodyCache]
    followers: Mapping[str, Follower]
    response_cache: ResponseCache
    metrics: Metrics
    report: Report
    background: Background
    capture: Capture | None
    judge: Judge
    resolver: Resolver

    def close(self) -> None:
        """Write the last uses of keys that were not written yet, and let go of the database."""
        for follower in self.followers.values():
            follower.close()
        self.background.close()
        self.usage.close()
        self.store.close()
        for follower in self.followers.values():
            follower.join()

    def report_state(self) -> None:
        """Set the metrics of this moment; the server does so each second."""
        for name, follower in self.followers.items():
            follower.report_state()
            self.metrics.set(CACHE_BYTES, name, value=self.body_caches[name].bytes)
        self.metrics.set(CACHE_BYTES, "pages", value=self.response_cache.bytes)
        if self.capture:
            self.capture.report_state()
        self.metrics.set(WORKERS, value=self.settings.workers)
        self.metrics.report_process()
