"""Requests with an Idempotency-Key that are repeated in another region: their records do not replicate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app import create_app
from app.domain.access import SCOPES
from tests.api.conftest import Answer, Caller
from tests.domain.conflicts.database_region import DatabaseRegion, two_regions
from tests.replication import Replication

Regions = tuple[DatabaseRegion, DatabaseRegion]
Callers = tuple[Caller, Caller]


@pytest.fixture(scope="module")
def regions(server_url: str, module_prefix: str, second_module_prefix: str) -> Iterator[Regions]:
    """Two regions on one server."""
    with two_regions(server_url, module_prefix, second_module_prefix) as regions:
        yield regions


@pytest.fixture(scope="module")
def callers(regions: Regions) -> Iterator[Callers]:
    """The same key in both regions."""
    _, key = regions[0].services.keys.create("editor", SCOPES)
    source, target = (f"{region.url}/{region.prefix}-keys" for region in regions)
    Replication(source, target).run()
    apps = [create_app(region.settings) for region in regions]
    yield Caller(apps[0], key), Caller(apps[1], key)
    for app in apps:
        app.close()


def sync(regions: Regions) -> None:
    """Replicate in both directions, resolve, and replicate the result."""
    for source, target in (regions, regions[::-1]):
        target.pull(source)
    for region in regions:
        region.resolve()
        region.capture()
    for source, target in (regions, regions[::-1]):
        target.pull(source)


def write(caller: Caller, path: str, key: str, **headers: str) -> Answer:
    """Change the title; ``if_match="x"`` is the header If-Match."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.request("PATCH", path, json={"title": "New"}, headers={"Idempotency-Key": key, **given})


def assert_alike(callers: Callers, path: str) -> list[dict[str, Any]]:
    """Check that both regions show the same document without a conflict, and the same versions; return these."""
    for sub_path in ("", "/conflicts", "/versions"):
        one, other = (caller.get(path + sub_path) for caller in callers)
        assert (one.status_code, one.data) == (other.status_code, other.data)
    conflicts = callers[0].get(f"{path}/conflicts").json
    assert (conflicts["reason"], conflicts["pending"], len(conflicts["versions"])) == (None, False, 1)
    listed: list[dict[str, Any]] = callers[0].get(f"{path}/versions").json
    assert all(version["updated_by"] != "merge" for version in listed)
    return listed


def test_a_repetition_before_the_replication_is_an_equal_edit(regions: Regions, callers: Callers) -> None:
    one, _ = callers
    path = f"/documents/{one.new_document('T', content='one')['id']}"
    sync(regions)
    answers = [write(caller, path, "before") for caller in callers]
    assert [(answer.status_code, "Idempotency-Replayed" in answer.headers) for answer in answers] == [(200, False)] * 2
    tags = {answer.headers["ETag"] for answer in answers}
    assert len(tags) == 2
    sync(regions)
    listed = assert_alike(callers, path)
    assert {version["etag"] for version in listed} > tags
    assert one.get(path).json["title"] == "New"
    assert one.get(path).headers["ETag"] == max(tags)
    # In the same region, a repetition gets the first answer again, although the other version may be the current one.
    for caller, answer in zip(callers, answers, strict=True):
        again = write(caller, path, "before")
        assert (again.data, again.headers["ETag"]) == (answer.data, answer.headers["ETag"])
        assert again.headers["Idempotency-Replayed"] == "true"
    sync(regions)
    assert assert_alike(callers, path) == listed


def test_a_repetition_after_the_replication_changes_no_content(regions: Regions, callers: Callers) -> None:
    one, other = callers
    path = f"/documents/{one.new_document('T', content='one')['id']}"
    assert write(one, path, "after").status_code == 200
    sync(regions)
    again = write(other, path, "after")
    assert (again.status_code, again.json["title"]) == (200, "New")
    sync(regions)
    listed = assert_alike(callers, path)
    assert [version["value"]["title"] for version in listed] == ["New", "New", "T"]


def test_a_conditional_repetition_after_the_replication_is_412(regions: Regions, callers: Callers) -> None:
    one, other = callers
    path = f"/documents/{one.new_document('T')['id']}"
    first = one.get(path).headers["ETag"]
    answer = write(one, path, "conditional", if_match=first)
    assert answer.status_code == 200
    sync(regions)
    again = write(other, path, "conditional", if_match=first)
    assert (again.status_code, again.headers["ETag"]) == (412, answer.headers["ETag"])
    listed = assert_alike(callers, path)
    assert len(listed) == 2
