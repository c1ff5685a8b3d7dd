"""Compare the records of a campaign's clients with the service and the database."""

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
from tests.waiting import MAX_WAIT_SECONDS


@dataclass(frozen=True)
class Account:
    """The outcome of every create. All lists but ``unacknowledged`` should be empty."""

    acknowledged: int
    # Titles of documents that were acknowledged and are missing or different.
    lost: list[str]
    # Stored documents that no client sent in this form, partial ones included.
    foreign: list[dict[str, Any]]
    # Titles that are stored more than once, and ids that were assigned more than once.
    repeated: list[str]
    # Titles of creates whose second acknowledgement differs from the first.
    unlike: list[str]
    # Titles of documents stored without an acknowledgement, and those whose client got a definite refusal.
    unacknowledged: list[str]
    denied: list[str]

    @classmethod
    def of(cls, creations: list[Creation], stored: list[dict[str, Any]]) -> Account:
        """Compare the clients' records with the ``stored`` documents, as the service serves them."""
        by_title = {creation.value["title"]: creation for creation in creations}
        promised = {title: c.acknowledged[0].json for title, c in by_title.items() if c.acknowledged}
        served = {item["id"]: item for item in stored}
        there = {title_of(item) for item in stored}
        extra = sorted(title for title in there if title in by_title and title not in promised)
        names = (
            [title_of(item) for item in stored],
            [item["id"] for item in stored],
            [item["id"] for item in promised.values()],
        )
        return cls(
            acknowledged=len(promised),
            lost=[title for title, item in promised.items() if served.get(item["id"]) != item],
            foreign=[item for item in stored if not sent_so(item, by_title)],
            repeated=[str(name) for each in names for name, count in Counter(each).items() if count > 1],
            unlike=[title for title, c in by_title.items() if len({reply.body for reply in c.acknowledged}) > 1],
            unacknowledged=extra,
            denied=[title for title in extra if not by_title[title].may_be_stored],
        )

    def require_sound(self) -> None:
        """Fail if a document was lost, partial, repeated or denied."""
        assert self.acknowledged > 0
        for name in ("lost", "foreign", "repeated", "unlike", "denied"):
            assert getattr(self, name) == [], name


def title_of(item: Mapping[str, Any]) -> str:
    """Return a document's title, which identifies its create."""
    return str(item.get("title"))


def sent_so(item: dict[str, Any], creations: Mapping[str, Creation]) -> bool:
    """Return whether a document is exactly as a client sent it, with an id."""
    creation = creations.get(title_of(item))
    return creation is not None and item == {"id": item.get("id"), **creation.value}


def stored(service: Service, key: str, collection: str = "documents", limit: int = 1000) -> list[dict[str, Any]]:
    """Return everything in a collection, page by page. A page that a busy machine answers with 503 is read again."""
    items: list[dict[str, Any]] = []
    path = f"/{collection}?limit={limit}"
    while path:
        page = service.answer("GET", path, key)
        assert page.status == 200, page
        items += page.json
        path = urlsplit(page.headers.get("x-next", ""))._replace(scheme="", netloc="").geturl()
    return items


def account(campaign: Campaign, service: Service, installation: Installation) -> Account:
    """Return the account of a campaign, when the service shows what the database stores.

    That may take a moment, since a write is completed even if its client has left.
    """
    documents = f"/{installation.prefix}-documents/_all_docs?startkey=%22document%22"

    def settled() -> list[dict[str, Any]]:
        served = stored(service, installation.key)
        rows = ask(installation.url, path=documents, timeout=MAX_WAIT_SECONDS)[1]["rows"]
        return served if [row["id"] for row in rows] == [f"document:{item['id']:016d}" for item in served] else []

    return Account.of(campaign.creations, poll(settled, MAX_WAIT_SECONDS))


def figures(campaign: Campaign, result: Account) -> str:
    """Return the outcome in words."""
    counts = ", ".join(f"{number} x {what}" for what, number in sorted(campaign.counts().items()))
    slowest = max(reply.seconds for creation in campaign.creations for reply in creation.replies)
    return (
        f"{len(campaign.creations)} creations ({counts}), slowest {slowest:.2f} s; {result.acknowledged} acknowledged, "
        f"{sum(creation.is_unknown for creation in campaign.creations)} unknown, {len(result.lost)} lost, "
        f"{len(result.foreign)} half or foreign, {len(result.repeated)} repeated, "
        f"{len(result.unacknowledged)} stored without acknowledgement, {len(result.denied)} of them denied"
    )


def require_answers(campaign: Campaign) -> None:
    """Fail if any answer was late, or neither a success nor a documented error."""
    assert [fault for c in campaign.creations for reply in c.replies for fault in reply.faults(201)] == []
