"""The account of a campaign: what its clients know, held against what is served and what the database holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.local_couchdb.process import poll
from app.local_couchdb.wire import request as ask
from proofs.campaign import Campaign, Creation
from proofs.conftest import Installation
from proofs.service import Service
from tests.server.live import PATIENCE


@dataclass(frozen=True)
class Account:
    """What became of every creation. All lists but ``unacknowledged`` should be empty."""

    acknowledged: int
    # Titles of documents that were promised and are not there, or not as they were promised.
    lost: list[str]
    # Documents that are there and were never sent so, half ones included.
    foreign: list[dict[str, Any]]
    # Titles that are there more than once, and ids that were given more than once.
    repeated: list[str]
    # Titles of creations whose second acknowledgement was not the first one, byte for byte.
    unlike: list[str]
    # Titles of documents that are there without a promise, and those among them whose client had no reason for doubt.
    unacknowledged: list[str]
    denied: list[str]

    @classmethod
    def of(cls, creations: list[Creation], stored: list[dict[str, Any]]) -> Account:
        """Hold what the clients know against the ``stored`` documents, as the service serves them."""
        wanted = {creation.value["title"]: creation for creation in creations}
        promised = {title: c.acknowledged[0].json for title, c in wanted.items() if c.acknowledged}
        served = {item["id"]: item for item in stored}
        there = {title_of(item) for item in stored}
        extra = sorted(title for title in there if title in wanted and title not in promised)
        names = (
            [title_of(item) for item in stored],
            [item["id"] for item in stored],
            [item["id"] for item in promised.values()],
        )
        return cls(
            acknowledged=len(promised),
            lost=[title for title, item in promised.items() if served.get(item["id"]) != item],
            foreign=[item for item in stored if not sent_so(item, wanted)],
            repeated=[str(name) for each in names for name, count in Counter(each).items() if count > 1],
            unlike=[title for title, c in wanted.items() if len({reply.body for reply in c.acknowledged}) > 1],
            unacknowledged=extra,
            denied=[title for title in extra if not wanted[title].may_be_stored],
        )

    def require_sound(self) -> None:
        """Fail unless nothing was lost, half, repeated or denied."""
        assert self.acknowledged > 0
        for name in ("lost", "foreign", "repeated", "unlike", "denied"):
            assert getattr(self, name) == [], name


def title_of(item: Mapping[str, Any]) -> str:
    """Return a document's title, which names its creation."""
    return str(item.get("title"))


def sent_so(item: dict[str, Any], wanted: Mapping[str, Creation]) -> bool:
    """Tell whether a document is exactly what some client sent, with an id."""
    creation = wanted.get(title_of(item))
    return creation is not None and item == {"id": item.get("id"), **creation.value}


def stored(service: Service, key: str, collection: str = "documents", limit: int = 1000) -> list[dict[str, Any]]:
    """Return everything in a collection, page by page."""
    items: list[dict[str, Any]] = []
    path = f"/{collection}?limit={limit}"
    while path:
        page = service.ask("GET", path, key)
        items += page.json
        path = urlsplit(page.headers.get("x-next", ""))._replace(scheme="", netloc="").geturl()
    return items


def account(campaign: Campaign, service: Service, installation: Installation) -> Account:
    """Return what became of a campaign, once what is served is what the database holds.

    That may take a moment: a write whose client has left is done nevertheless.
    """
    documents = f"/{installation.prefix}-documents/_all_docs?startkey=%22document%22"

    def settled() -> list[dict[str, Any]]:
        served = stored(service, installation.key)
        rows = ask(installation.url, path=documents, wait=PATIENCE)[1]["rows"]
        return served if [row["id"] for row in rows] == [f"document:{item['id']:016d}" for item in served] else []

    return Account.of(campaign.creations, poll(settled, PATIENCE))


def figures(campaign: Campaign, found: Account) -> str:
    """Return the outcome in words."""
    counts = ", ".join(f"{number} x {what}" for what, number in sorted(campaign.counts().items()))
    slowest = max(reply.seconds for creation in campaign.creations for reply in creation.replies)
    return (
        f"{len(campaign.creations)} creations ({counts}), slowest {slowest:.2f} s; {found.acknowledged} acknowledged, "
        f"{len(found.lost)} lost, {len(found.foreign)} half or foreign, {len(found.repeated)} repeated, "
        f"{len(found.unacknowledged)} stored without acknowledgement, {len(found.denied)} of them denied"
    )


def require_answers(campaign: Campaign) -> None:
    """Fail if any answer was late, or neither a success nor a documented error."""
    assert [fault for c in campaign.creations for reply in c.replies for fault in reply.faults(201)] == []
