"""The account detects every failure of a campaign."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from app.errors import Unconfirmed
from proofs.accounts import Account
from proofs.campaign import Creation
from proofs.service import Reply

pytestmark = pytest.mark.nodatabase


def reply(status: int, body: str) -> Reply:
    """Return an answer of the service."""
    return Reply(status, Headers(), body.encode(), 0.1)


def created(title: str, *public_ids: int) -> Creation:
    """Return a creation that was acknowledged, once for each id."""
    bodies = [f'{{"id": {public_id}, "title": "{title}"}}' for public_id in public_ids]
    return Creation({"title": title}, [reply(201, body) for body in bodies])


def refused(title: str, reason: str = "The database is not answering.") -> Creation:
    """Return a creation that was answered with 503."""
    return Creation({"title": title}, [reply(503, f'{{"reason": "{reason}"}}')])


def item(title: str, public_id: int, **others: object) -> dict[str, object]:
    """Return a document as it is served."""
    return {"id": public_id, "title": title, **others}


DOUBTFUL = refused("c", Unconfirmed.reason)
SENT = [created("a", 1, 1), created("b", 2), DOUBTFUL, refused("d"), Creation({"title": "e"}, dropped=1)]
STORED = [item("a", 1), item("b", 2)]


def test_all_is_well() -> None:
    result = Account.of(SENT, STORED)
    assert (result.acknowledged, result.unacknowledged) == (2, [])
    result.require_sound()


def test_a_create_of_unknown_outcome_may_be_stored() -> None:
    result = Account.of(SENT, [*STORED, item("c", 3), item("e", 5)])
    assert result.unacknowledged == ["c", "e"]
    result.require_sound()


def test_a_document_stored_twice_is_not_reported_as_lost() -> None:
    result = Account.of(SENT, [*STORED, item("a", 3)])
    assert (result.lost, result.repeated) == ([], ["a"])


@pytest.mark.parametrize(
    ("creations", "stored", "name"),
    [
        (SENT, STORED[:1], "lost"),
        (SENT, [item("a", 1), item("b", 3)], "lost"),
        (SENT, [*STORED, item("f", 6)], "foreign"),
        (SENT, [*STORED, item("c", 3, content="half")], "foreign"),
        (SENT, [*STORED, {"id": 3}], "foreign"),
        (SENT, [*STORED, item("c", 3), item("c", 4)], "repeated"),
        (SENT, [*STORED, item("c", 2)], "repeated"),
        ([created("a", 1), created("b", 1)], STORED, "repeated"),
        ([created("a", 1, 2), created("b", 2)], STORED, "unlike"),
        (SENT, [*STORED, item("d", 4)], "denied"),
        ([refused("d")], [], "acknowledged"),
    ],
)
def test_a_wrong_document_is_detected(creations: list[Creation], stored: list[dict[str, object]], name: str) -> None:
    result = Account.of(creations, stored)
    assert getattr(result, name) != getattr(Account.of(SENT, STORED), name)
    with pytest.raises(AssertionError):
        result.require_sound()
