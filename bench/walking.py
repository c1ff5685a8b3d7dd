"""Walk all documents page by page, to fill the caches and to collect the starts of pages."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from bench.rows import PAGE, Scene, page

# Any worker may take a connection; with 8, each of 2 workers has at least one in all but 1 of 128 runs.
WARMERS = 8
LARGEST = 1000


def walk(scene: Scene, limit: int) -> Iterator[tuple[str, int]]:
    """Read every page over one connection; yield each cursor with the last id before it."""
    connection = http.client.HTTPConnection(scene.service, timeout=60)
    path: str | None = f"/documents?limit={limit}"
    while path:
        connection.request("GET", path, headers={"X-API-Key": scene.installation.key})
        answer = connection.getresponse()
        body, link = answer.read(), answer.headers["x-next"]
        assert answer.status == 200, body
        path = None
        if link:
            parts = urlsplit(link)
            path = f"{parts.path}?{parts.query}"
            yield parse_qs(parts.query)["cursor"][0], json.loads(body)[-1]["id"]
    connection.close()


def warmed(scene: Scene) -> Scene:
    """Read everything through several connections at once. Returns the scene with links to all of its pages."""
    with ThreadPoolExecutor(WARMERS) as pool:
        list(pool.map(lambda _: sum(1 for _ in walk(scene, LARGEST)), range(WARMERS)))
    links = [(page(cursor), after) for cursor, after in walk(scene, PAGE)]
    return replace(scene, links=[(f"/documents?limit={PAGE}", 0), *links])
