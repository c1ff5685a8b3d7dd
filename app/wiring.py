"""Builds every service of a process once, from the settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.cache.items import BodyCache, CachedItems
from app.cache.response_cache import ResponseCache
from app.cache.validity import CacheValidator, WriteCounters
from app.domain.background import Background, Job
from app.domain.changes.changes import Changes
from app.domain.changes.conflict_marks import ConflictMarks
from app.domain.changes.cursor import ChangeCursors
from app.domain.changes.first_sync import FirstSync
from app.domain.changes.hub import Hub
from app.domain.changes.subscription import Channel
from app.domain.changes.tickets import Tickets
from app.domain.conflicts.conflicts import Conflicts
from app.domain.conflicts.item_conflicts import ItemConflicts
from app.domain.conflicts.judge import Judge
from app.domain.conflicts.listing import ConflictList
from app.domain.conflicts.reducer import Reducer, version_saver
from app.domain.conflicts.resolver import Resolver
from app.domain.documents import Documents
from app.domain.history.capture import Capture
from app.domain.history.retention import Sweep
from app.domain.history.versions import Versions
from app.domain.idempotency import Idempotency
from app.domain.keys.authenticator import Authenticator
from app.domain.keys.keys import Keys
from app.domain.keys.usage import Usage
from app.domain.listing.cursors import Cursors
from app.domain.listing.merged_walk import MergedWalk
from app.domain.projects import Projects
from app.domain.readiness import Readiness
from app.domain.reservations import Reservations
from app.domain.resources import DOCUMENT, KEY, PROJECT, ResourceType, now, timestamp
from app.limits.limiter import Limiter
from app.metric_definitions import EVENTS, RATE_LIMITED, READS, SLOW_STREAMS, UNLIMITED
from app.metrics import Metrics
from app.request_context import Report, RequestRecord, unreported
from app.services import Services
from app.settings import Settings
from app.store import Follower, Store
from app.store.claimed_ids import Allocator

# Projects are few beside documents.
PROJECTS_SHARE = 8


@dataclass(frozen=True)
class Shared:
    """The state that the processes of a host share, created before they are forked."""

    limiter: Limiter | None
    write_counters: Mapping[str, WriteCounters]
    metrics: Metrics

    @classmethod
    def build(cls, settings: Settings) -> Shared:
        """Make it for as many processes as the settings say. It opens no connection."""
        counters = {each.database: WriteCounters(settings.workers) for each in (DOCUMENT, PROJECT)}
        metrics = Metrics(settings.workers)
        return cls(Limiter.build(settings, lambda: metrics.count(UNLIMITED)), counters, metrics)


def build_services(
    settings: Settings,
    now: Callable[[], datetime] = now,
    shared: Shared | None = None,
    report: Report = unreported,
) -> Services:
    """Wire the services of one process. Without ``shared`` it shares nothing with others.

    ``report`` receives each finished request, from the response cache and from Flask alike.
    """
    shared = shared or Shared.build(settings)
    counters, metrics = shared.write_counters, shared.metrics
    count_writes = {name: each.writing for name, each in counters.items()}
    store = Store(settings.couchdb_url, settings.prefix, count_writes, metrics.count_database_request)
    validators = {name: CacheValidator(each) for name, each in counters.items()}
    feeds = {each: store.feed(each.database) for each in (PROJECT, DOCUMENT)}
    leaves = {each: store.leaves(each.database) for each in (DOCUMENT, PROJECT)}

    def project_exists(project_id: int) -> bool:
        return store[PROJECT.database].get(PROJECT.doc_id(project_id)) is not None

    judge = Judge(leaves, store.versions, project_exists)
    save_versions = version_saver(store.versions if settings.history else None, leaves)
    marks = ConflictMarks(judge.judge)
    hubs = {each: Hub(each, settings.secrets[0], now, mark=partial(marks.mark, each)) for each in (PROJECT, DOCUMENT)}
    followers = {
        each.database: Follower(
            store[each.database],
            validators[each.database],
            metrics,
            each.database,
            identity=feeds[each].identity,
            audience=hub,
        )
        for each, hub in hubs.items()
    }

    start_counters(metrics, settings)

    def count_miss() -> None:
        metrics.count(READS, "miss")

    def report_counted(record: RequestRecord) -> None:
        metrics.count_answer(record)
        report(record)

    def body_cache(resource_type: ResourceType, max_bytes: int) -> BodyCache:
        name = resource_type.database
        return BodyCache(resource_type, validators[name], followers[name].start, max_bytes)

    def allocator(resource_type: ResourceType) -> Allocator:
        return Allocator(store["meta"], resource_type.name, settings.region, settings.regions, timestamp)

    def channel(resource_type: ResourceType, hub: Hub) -> Channel:
        follower = followers[resource_type.database]
        return Channel(hub, follower.start, follower.recent_changes)

    def item_conflicts(resource_type: ResourceType) -> ItemConflicts:
        return ItemConflicts(partial(judge.judge, resource_type), leaves[resource_type], save_versions)

    budgets = {DOCUMENT: settings.cache_bytes, PROJECT: settings.cache_bytes // PROJECTS_SHARE}
    caches = [body_cache(resource_type, max_bytes) for resource_type, max_bytes in budgets.items()]
    stored, containers = (
        CachedItems(
            store[each.resource_type.database],
            allocator(each.resource_type),
            item_conflicts(each.resource_type),
            each,
        )
        for each in caches
    )
    projects = Projects(containers, stored, now)
    documents = Documents(stored, projects, MergedWalk(store[DOCUMENT.database], feeds[DOCUMENT].identity))
    item_services = {PROJECT: projects, DOCUMENT: documents}
    databases = {each: store[each.database] for each in item_services}
    conflict_list = ConflictList(item_services, databases, judge.judge_many)
    changes = Changes(
        feeds,
        {each: followers[each.database].older_place for each in item_services},
        {each: channel(each, hub) for each, hub in hubs.items()},
        FirstSync(item_services, conflict_list),
        marks,
        settings.region,
        settings.secrets[0],
        now,
    )
    change_cursors = ChangeCursors(settings.secrets)
    idempotency = Idempotency(store["meta"], settings.deadline + 2, now)
    usage = Usage(store["meta"], idempotency.sweep)
    keys = Keys(store["keys"], allocator(KEY), usage, settings.secrets, now)
    authenticator = Authenticator(keys, usage.note, settings.out_of_scope, now, time.monotonic)
    capture = Capture(store, (PROJECT, DOCUMENT), settings.history, metrics, now) if settings.history else None
    reducer = Reducer(judge, leaves, save_versions, metrics)
    resolver = Resolver(reducer, leaves, databases, metrics)
    jobs: list[Job] = [resolver]
    if settings.history and capture:
        jobs += [capture, Sweep(store, settings.history, metrics, now)]
    bodies = {each.resource_type.database: each for each in caches}
    return Services(
        settings=settings,
        store=store,
        documents=documents,
        projects=projects,
        keys=keys,
        usage=usage,
        authenticator=authenticator,
        cursors=Cursors(settings.secrets),
        changes=changes,
        change_cursors=change_cursors,
        conflicts=Conflicts(item_services, leaves, judge.judge_many, conflict_list, store.versions),
        change_tickets=Tickets(settings.secrets, change_cursors, now),
        versions={
            each: Versions(service, store.leaves(each.database), store.versions)
            for each, service in item_services.items()
        },
        idempotency=idempotency,
        reservations=Reservations(store.feed("meta"), settings.secrets, now),
        readiness=Readiness(store),
        limiter=shared.limiter,
        body_caches=bodies,
        followers=followers,
        response_cache=ResponseCache(settings, bodies, authenticator, shared.limiter, count_miss, report_counted),
        metrics=metrics,
        report=report_counted,
        background=Background(store["meta"], jobs, now),
        capture=capture,
        judge=judge,
        resolver=resolver,
    )


def start_counters(metrics: Metrics, settings: Settings) -> None:
    """Report these as 0 before anything happens, so that queries see their first increase."""
    for counter in (UNLIMITED, EVENTS, SLOW_STREAMS):
        metrics.count(counter, times=0)
    for cache in ("hit", "miss"):
        metrics.count(READS, cache, times=0)
    for policy in settings.rate_limit:
        metrics.count(RATE_LIMITED, policy.name, times=0)
