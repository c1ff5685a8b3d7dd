"""Listings while the database has not indexed its latest writes: by id as ever, others 503 at the deadline."""

from __future__ import annotations

from typing import Any

import pytest

from app import Application
from app.couch.connection import AnswerLost, Connection
from app.domain.access import SCOPES
from app.domain.listing.pages import CATCH_UP_SECONDS, VIEW_SECONDS, Index, ListQuery
from app.domain.resources import DOCUMENT
from app.services import Services
from tests.api.conftest import Caller
from tests.clock import ManualClock

PAGES = ["/documents?limit=2", "/documents?limit=2&order=desc", "/projects?limit=2", "/projects?limit=2&order=desc"]


@pytest.fixture(scope="module")
def stored(ada: Caller) -> dict[str, int]:
    """Five documents, one of them deleted and one in a project, and three projects."""
    projects = [ada.new_project()["id"] for _ in range(3)]
    documents = [ada.new_document(project_id=projects[0])["id"], *(ada.new_document()["id"] for _ in range(4))]
    ada.request("DELETE", f"/documents/{documents[1]}")
    return {"project": projects[0], "other": projects[1], "inside": documents[0], "outside": documents[2]}


@pytest.fixture
def lagging(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no view answer in time; return the seconds that each request gave its view."""
    seconds: list[float] = []
    request = Connection.request

    def without_views(self: Connection, method: str, *path: str, **options: Any) -> Any:
        if "_view" not in path:
            return request(self, method, *path, **options)
        seconds.append(options["timeout"])
        raise AnswerLost("no answer in time")

    monkeypatch.setattr(Connection, "request", without_views)
    return seconds


def walk(caller: Caller, path: str) -> list[tuple[Any, str, str | None]]:
    """Return body, tag and `x-next` of each page, read from the database."""
    answers, url = [], path
    while url:
        answer = caller.get(url, cache_control="no-cache")
        assert answer.status_code == 200, answer.text
        answers.append((answer.json, answer.headers["ETag"], answer.headers.get("x-next")))
        url = answer.headers.get("x-next", "")
    return answers


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.usefixtures("stored")
def test_a_listing_by_id_is_the_same_without_its_index(
    path: str, ada: Caller, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    indexed = walk(ada, path)
    assert len(indexed) >= 2
    lagging = request.getfixturevalue("lagging")
    assert walk(ada, path) == indexed
    assert ada.get(path, cache_control="no-cache", if_none_match=indexed[0][1]).status_code == 304
    assert all(seconds <= VIEW_SECONDS for seconds in lagging)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_view_that_lags_is_asked_again_after_a_while(services: Services, lagging: list[float]) -> None:
    clock = ManualClock()
    index = Index(DOCUMENT, services.store["documents"], clock)
    for _ in range(3):
        index.range(ListQuery(limit=2))
    assert len(lagging) == 1
    clock.now += CATCH_UP_SECONDS
    index.range(ListQuery(limit=2))
    assert len(lagging) == 2


@pytest.mark.parametrize(
    "path", ["/documents?project_id={project}", "/projects/{project}/documents", "/documents?ids={inside}"]
)
def test_a_filtered_listing_waits_until_the_deadline(
    path: str, ada: Caller, stored: dict[str, int], lagging: list[float]
) -> None:
    answer = ada.get(path.format(**stored), cache_control="no-cache")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    [seconds] = lagging
    deadline = ada.app.services.settings.deadline
    assert deadline / 2 < seconds <= deadline


@pytest.mark.parametrize("mode", ["forbid", "hide"])
@pytest.mark.usefixtures("lagging")
def test_hidden_and_absent_items_are_503_alike_for_a_limited_key(
    mode: str, app: Application, services: Services, stored: dict[str, int]
) -> None:
    _, text = services.keys.create("limited", SCOPES, projects=[stored["project"]], out_of_scope=mode)
    limited = Caller(app, text)
    hidden, absent = stored["outside"], 999_999
    for path in ("/documents/{}", "/documents?ids={}"):
        answers = [limited.get(path.format(public_id), x_request_id="same") for public_id in (hidden, absent)]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert answers[0].data == answers[1].data
    assert limited.get("/documents").status_code == 503
