"""Builds the parts of a process that read and write items, from the settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial

from app.cache.items import BodyCache, CachedItems
from app.cache.validity import CacheValidator
from app.domain.changes.bare_tombstones import BareTombstones
from app.domain.changes.changes import Changes
from app.domain.changes.conflict_marks import ConflictMarks
from app.domain.changes.first_sync import FirstSync
from app.domain.changes.hub import Hub
from app.domain.changes.subscription import Channel
from app.domain.conflicts.conflicts import Conflicts
from app.domain.conflicts.item_conflicts import ItemConflicts
from app.domain.conflicts.judge import Judge
from app.domain.conflicts.listing import ConflictList
from app.domain.conflicts.reducer import SaveVersions, version_saver
from app.domain.documents import Documents
from app.domain.history.versions import Versions
from app.domain.item_service import ItemService
from app.domain.listing.merged_walk import MergedWalk
from app.domain.projects import Projects
from app.domain.resources import DOCUMENT, PROJECT, ResourceType, timestamp
from app.services import Shared
from app.settings import Settings
from app.store import Database, Follower, Store
from app.store.claimed_ids import Allocator
from app.store.feed import Feed
from app.store.items import StoredItem
from app.store.leaves import Leaves

# The types of items, in the order of their answers.
TYPES = (PROJECT, DOCUMENT)
# Projects are few beside documents.
PROJECTS_SHARE = 8


class ItemWiring:
    """The parts of one process that read and write items. Each is built when another one first needs it."""

    def __init__(self, settings: Settings, now: Callable[[], datetime], shared: Shared) -> None:
        self._settings, self._now, self._shared, self._metrics = settings, now, shared, shared.metrics

    @cached_property
    def _store(self) -> Store:
        settings, counters = self._settings, self._shared.write_counters
        count_writes = {name: each.writing for name, each in counters.items()}
        return Store(settings.couchdb_url, settings.prefix, count_writes, self._metrics.count_database_request)

    @cached_property
    def _databases(self) -> dict[ResourceType, Database]:
        return {each: self._store[each.database] for each in TYPES}

    @cached_property
    def _feeds(self) -> dict[ResourceType, Feed]:
        return {each: self._store.feed(each.database) for each in TYPES}

    @cached_property
    def _leaves(self) -> dict[ResourceType, Leaves]:
        return {each: self._store.leaves(each.database) for each in TYPES}

    @cached_property
    def _judge(self) -> Judge:
        return Judge(self._leaves, self._store.versions, self._project_exists, self._shared.arrivals)

    def _project_exists(self, project_id: int) -> bool:
        return self._databases[PROJECT].get(PROJECT.doc_id(project_id)) is not None

    @cached_property
    def _save_versions(self) -> SaveVersions:
        return version_saver(self._store.versions if self._settings.history else None, self._leaves)

    @cached_property
    def _marks(self) -> ConflictMarks:
        return ConflictMarks(self._judge.judge)

    @cached_property
    def _tombstones(self) -> BareTombstones:
        # Looked up at the first call: the versions need the items, the items the hubs, and the hubs these tombstones.
        return BareTombstones(lambda item: self._versions[DOCUMENT].last_project(item))

    @cached_property
    def _hubs(self) -> dict[ResourceType, Hub]:
        secret = self._settings.secrets[0]
        return {each: Hub(each, secret, self._now, complete=partial(self._complete, each)) for each in TYPES}

    def _complete(self, resource_type: ResourceType, item: StoredItem) -> StoredItem:
        """Return an item of a feed with its conflict marked, or its bare tombstone completed. Raises Unavailable."""
        return self._tombstones.complete(resource_type, self._marks.mark(resource_type, item))

    @cached_property
    def _validators(self) -> dict[ResourceType, CacheValidator]:
        return {each: CacheValidator(self._shared.write_counters[each.database]) for each in TYPES}

    @cached_property
    def _followers(self) -> dict[ResourceType, Follower]:
        return {each: self._follower(each) for each in TYPES}

    def _follower(self, resource_type: ResourceType) -> Follower:
        return Follower(
            self._databases[resource_type],
            self._validators[resource_type],
            self._metrics,
            resource_type.database,
            identity=self._feeds[resource_type].identity,
            audience=self._hubs[resource_type],
        )

    @cached_property
    def _caches(self) -> dict[ResourceType, BodyCache]:
        cache_bytes = self._settings.cache_bytes
        budgets = {DOCUMENT: cache_bytes, PROJECT: cache_bytes // PROJECTS_SHARE}
        return {
            each: BodyCache(each, self._validators[each], self._followers[each].start, max_bytes)
            for each, max_bytes in budgets.items()
        }

    def _allocator(self, resource_type: ResourceType) -> Allocator:
        settings = self._settings
        return Allocator(self._store["meta"], resource_type.name, settings.region, settings.regions, timestamp)

    @cached_property
    def _items(self) -> dict[ResourceType, CachedItems]:
        return {
            each: CachedItems(
                self._databases[each],
                self._allocator(each),
                ItemConflicts(partial(self._judge.judge, each), self._leaves[each], self._save_versions),
                self._caches[each],
            )
            for each in TYPES
        }

    @cached_property
    def _projects(self) -> Projects:
        return Projects(self._items[PROJECT], self._items[DOCUMENT], self._now)

    @cached_property
    def _documents(self) -> Documents:
        walk = MergedWalk(self._databases[DOCUMENT], self._feeds[DOCUMENT].identity)
        return Documents(self._items[DOCUMENT], self._projects, walk)

    @cached_property
    def _item_services(self) -> dict[ResourceType, ItemService]:
        return {PROJECT: self._projects, DOCUMENT: self._documents}

    @cached_property
    def _conflict_list(self) -> ConflictList:
        return ConflictList(self._item_services, self._databases, self._judge.judge_many)

    @cached_property
    def _conflicts(self) -> Conflicts:
        judge_many, versions = self._judge.judge_many, self._store.versions
        return Conflicts(self._item_services, self._leaves, judge_many, self._conflict_list, versions)

    @cached_property
    def _versions(self) -> dict[ResourceType, Versions]:
        services, history = self._item_services, self._store.versions
        return {each: Versions(service, self._leaves[each], history) for each, service in services.items()}

    @cached_property
    def _changes(self) -> Changes:
        followers = self._followers
        return Changes(
            self._feeds,
            {each: follower.older_place for each, follower in followers.items()},
            {each: Channel(self._hubs[each], it.start, it.recent_changes) for each, it in followers.items()},
            FirstSync(self._item_services, self._conflict_list),
            self._marks,
            self._tombstones,
            self._settings.region,
            self._settings.secrets[0],
            self._now,
        )
