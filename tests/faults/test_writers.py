"""Of many who write one document at once, each on the condition that nobody else has, exactly one does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.faults.conftest import Installation
from tests.faults.service import Reply, Service

WRITERS, VERSIONS = 16, 20


def test_of_conditional_writers_exactly_one_wins_each_version(
    service: Service, installation: Installation, rounds: int, report: Callable[[str], None]
) -> None:
    made = service.ask("POST", "/documents", installation.key, {"title": "start"})
    path, tag, latest = f"/documents/{made.json['id']}", made.headers["ETag"], made.json

    def write(writer: int, version: int, tag: str) -> Reply:
        value = {"title": f"{writer} in {version}"}
        return service.ask("PUT", path, installation.key, value, {"If-Match": tag})

    with ThreadPoolExecutor(WRITERS) as pool:
        for version in range(VERSIONS * rounds):
            tried = [pool.submit(write, writer, version, tag) for writer in range(WRITERS)]
            replies = [each.result() for each in tried]
            assert sorted(reply.status for reply in replies) == [200] + [412] * (WRITERS - 1)
            [winner] = [reply for reply in replies if reply.status == 200]
            tag, latest = winner.headers["ETag"], winner.json
            assert {reply.headers["ETag"] for reply in replies} == {tag}
    found = service.ask("GET", path, installation.key)
    assert (found.json, found.headers["ETag"]) == (latest, tag)
    # Each version is one revision: no write was stored that nobody was told of.
    assert tag.startswith(f'"{1 + VERSIONS * rounds}-')
    report(f"{WRITERS} writers, {VERSIONS * rounds} versions, one winner each")
