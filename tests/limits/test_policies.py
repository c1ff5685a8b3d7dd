"""Accepted and refused settings of rate limits."""

from __future__ import annotations

import pytest

from app.limits.policies import policies, storage
from app.settings import Settings
from couchapp.settings import SettingError

pytestmark = pytest.mark.nodatabase


def test_the_default_policies() -> None:
    assert list(Settings().rate_limit) == [("read", 600, 60), ("write", 300, 60), ("failed", 600, 60)]
    assert Settings().rate_limit_storage == "memory://"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("read=1/second,write=2/hour", [("read", 1, 1), ("write", 2, 3600), ("failed", 1, 1)]),
        ("write=99999/day, read=5/minute", [("read", 5, 60), ("write", 99999, 86400), ("failed", 5, 60)]),
        ("off", []),
    ],
)
def test_accepted_policies(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert list(policies(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "600/minute",
        "read=600/minute",
        "read=600/minute,read=300/minute",
        "read=600/minute,write=300/minute,write=300/minute",
        "read=600/minute,write=300/minute,failed=10/minute",
        "read=0/minute,write=300/minute",
        "read=100000/minute,write=300/minute",
        "read=-1/minute,write=300/minute",
        "read=٣/minute,write=300/minute",
        "read=600/month,write=300/minute",
        "read=600/2 minutes,write=300/minute",
        "read=600/minute;write=300/minute",
        "read=600/minute,write=300/minute,",
        "OFF",
        ",",
    ],
)
def test_refused_policies(text: str) -> None:
    with pytest.raises(SettingError, match=r"^DREAMSCRIPT_RATE_LIMIT must be off, or .* read=600/minute,write=3"):
        Settings.parse({"DREAMSCRIPT_RATE_LIMIT": text})


@pytest.mark.parametrize("url", ["memory://", "redis://127.0.0.1", "redis://:pw@cache:6379/2", "rediss://cache:6379"])
def test_accepted_storages(url: str) -> None:
    assert storage(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "memory",
        "memory://x",
        "redis://",
        "redis://:hunter2@",
        "redis://u:hunter2@x:port",
        "memcached://x:1",
        "Redis://x:1",
        "redis://x:1/hunter2",
        "redis://x:1/1/2",
        "redis://x:1?password=hunter2",
    ],
)
def test_refused_storages(url: str) -> None:
    with pytest.raises(SettingError, match="DREAMSCRIPT_RATE_LIMIT_STORAGE must be memory://, or redis://") as refusal:
        Settings.parse({"DREAMSCRIPT_RATE_LIMIT_STORAGE": url})
    assert "hunter2" not in str(refusal.value)
