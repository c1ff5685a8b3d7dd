"""How the services are put together, where a wrong number or a missing wire would break a promise and nothing else."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.idempotency import RETENTION, Begun, StoredAnswer
from app.domain.keys import usage
from app.errors import IdempotencyInProgress
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from launcher.settings import MAX_DEADLINE_SECONDS
from tests.api.conftest import deployed_settings
from tests.waiting import wait_until

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Clock:
    """A manual clock."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def settings(server_url: str, prefix: str) -> Settings:
    return deployed_settings(server_url, prefix)


def begin(services: Services, key: str = "k") -> Begun:
    """Begin a request, or take over an earlier run of it."""
    begun = services.idempotency.begin("ada", key, "0" * 64, tuple)
    assert isinstance(begun, Begun)
    return begun


@pytest.mark.parametrize("deadline", [0.5, 5.0, MAX_DEADLINE_SECONDS])
def test_a_request_is_taken_over_only_after_its_deadline(settings: Settings, deadline: float) -> None:
    clock = Clock()
    with closing(build_services(replace(settings, deadline=deadline), clock)) as services:
        first = begin(services)
        clock.now += timedelta(seconds=deadline)
        with pytest.raises(IdempotencyInProgress):
            begin(services)
        clock.now += timedelta(seconds=10)
        again = begin(services)
    assert again.write_id.nonce == first.write_id.nonce
    assert first.write_id.since is None
    assert again.write_id.since


def test_expired_records_are_swept_in_the_background(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that writes the last uses of keys sweeps them, in any process that has used a key."""
    monkeypatch.setattr(usage, "PERIOD_SECONDS", 0.0)
    monkeypatch.setattr(usage, "SPREAD_SECONDS", 0.01)
    clock = Clock()
    with closing(build_services(settings, clock)) as services:
        meta = services.store["meta"]
        services.idempotency.finish(begin(services, "old"), StoredAnswer(201, {}, "{}"))
        [old] = meta.ids("idempotency:", "idempotency;", limit=2)
        clock.now += RETENTION
        begin(services, "young")
        services.usage.note(7, clock.now)
        wait_until(lambda: meta.get(old.id) is None)
        assert len(meta.ids("idempotency:", "idempotency;", limit=2)) == 1
