"""Everything that the two front doors, HTTP and the command line, work with, built once from the settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.domain import clock
from app.domain.allocator import Allocator
from app.domain.authenticator import Authenticator
from app.domain.collection import Collection
from app.domain.cursors import Cursors
from app.domain.documents import Documents
from app.domain.idempotency import Idempotency
from app.domain.keys import Keys
from app.domain.kinds import DOCUMENT, KEY, PROJECT, Kind
from app.domain.merged_walk import MergedWalk
from app.domain.projects import Projects
from app.domain.readiness import Readiness
from app.domain.usage import Usage
from app.limits.limiter import Limiter
from app.settings import Settings
from app.store import Store


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
    idempotency: Idempotency
    readiness: Readiness
    limiter: Limiter | None

    def close(self) -> None:
        """Write the last uses of keys that were not written yet, and let go of the database."""
        self.usage.close()
        self.store.close()

    @classmethod
    def build(
        cls, settings: Settings, now: Callable[[], datetime] = clock.now, limiter: Limiter | None = None
    ) -> Services:
        """Wire the services of one process. ``limiter`` is one that it shares with others, else it gets its own."""
        store = Store(settings.couchdb_url, settings.prefix)

        def allocator(kind: Kind) -> Allocator:
            return Allocator(store["meta"], kind, settings.region, settings.regions, clock.timestamp)

        def collection(kind: Kind) -> Collection:
            return Collection(kind, store[kind.database], allocator(kind))

        stored = collection(DOCUMENT)
        projects = Projects(collection(PROJECT), stored, now)
        idempotency = Idempotency(store["meta"], settings.deadline + 2, now)
        usage = Usage(store["meta"], idempotency.sweep)
        keys = Keys(store["keys"], allocator(KEY), usage, settings.secrets, now)
        return cls(
            settings=settings,
            store=store,
            documents=Documents(stored, projects, MergedWalk(store[DOCUMENT.database])),
            projects=projects,
            keys=keys,
            usage=usage,
            authenticator=Authenticator(keys, usage.note, settings.out_of_scope, now, time.monotonic),
            cursors=Cursors(settings.secrets),
            idempotency=idempotency,
            readiness=Readiness(store),
            limiter=limiter or Limiter.build(settings),
        )
