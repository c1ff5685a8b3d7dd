"""A page's tag changes if and only if that page changes, found by changing things at random."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.couch.connection import Connection
from app.domain.resources import DOCUMENT
from app.settings import Settings
from tests.api.conftest import Caller

# The change of the documents: one is added, edited or deleted (by place), or none.
CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "edit", "delete", "nothing"]), st.integers(0, 9)),
    min_size=1,
    max_size=3,
)


class Shelf:
    """A project's documents."""

    def __init__(self, ada: Caller, settings: Settings) -> None:
        self.ada, self._database = ada, f"{settings.prefix}-documents"
        self._connection = Connection(settings.couchdb_url, timeout=30)
        self._project = ada.new_project()["id"]
        self.ids: list[int] = []
        for _ in range(3):
            self.change("add", 0)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def change(self, what: str, place: int) -> None:
        """Do one thing to the document at ``place``, if there is one."""
        if what == "add":
            self.ids.append(self.ada.new_document("x", project_id=self._project)["id"])
        elif self.ids and what != "nothing":
            path = f"/documents/{self.ids[place % len(self.ids)]}"
            if what == "delete":
                self.ids.remove(self.ids[place % len(self.ids)])
                assert self.ada.request("DELETE", path).status_code == 204
            else:
                assert self.ada.request("PATCH", path, json={}).status_code == 200

    def pages(self, limit: int) -> dict[str, tuple[str, Any]]:
        """Return the tag and the items of each page, by its position."""
        pages, url = {}, f"/projects/{self._project}/documents?limit={limit}"
        while url:
            answer = self.ada.get(url)
            url, here = answer.headers.get("x-next", ""), url
            pages[here] = answer.headers["ETag"], (self._revisions(answer.json), bool(url))
        return pages

    def _revisions(self, items: list[dict[str, Any]]) -> list[tuple[int, str]]:
        """Ask the database itself, which the service's tags are checked against."""
        return [
            (item["id"], self._connection.get(self._database, DOCUMENT.doc_id(item["id"])).body["_rev"])
            for item in items
        ]


@examples(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, limit=st.integers(1, 4))
def test_a_pages_tag_changes_if_and_only_if_the_page_does(
    ada: Caller, settings: Settings, changes: list[tuple[str, int]], limit: int
) -> None:
    shelf = Shelf(ada, settings)
    before = shelf.pages(limit)
    for what, place in changes:
        shelf.change(what, place)
    after = shelf.pages(limit)
    for url in before.keys() & after.keys():
        (old_tag, old_page), (new_tag, new_page) = before[url], after[url]
        assert (old_tag == new_tag) == (old_page == new_page), url
        assert ada.get(url, if_none_match=old_tag).status_code == (304 if old_page == new_page else 200)
    shelf.close()
