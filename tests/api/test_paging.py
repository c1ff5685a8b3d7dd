"""Pages: bounded, complete, and with opaque cursors bound to the principal and the listing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app import Application
from app.domain import items
from app.domain.listing.pages import Index, ListQuery, Page
from app.store import Database
from tests.api.conftest import Caller


@pytest.fixture(scope="module")
def project(ada: Caller) -> dict[str, Any]:
    """A project with seven documents."""
    project = ada.new_project("Seven")
    for n in range(7):
        ada.new_document(str(n), project_id=project["id"])
    return project


@pytest.fixture
def listing(project: dict[str, Any]) -> str:
    """The listing of those seven."""
    return f"/projects/{project['id']}/documents"


def cursor_of(url: str) -> str:
    """Return the cursor in the URL of a next page."""
    return parse_qs(urlsplit(url).query)["cursor"][0]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_a_walk_meets_everything_once(ada: Caller, listing: str, order: str, limit: int) -> None:
    pages = ada.walk(f"{listing}?limit={limit}&order={order}")
    met = [item["id"] for page in pages for item in page]
    assert met == sorted(set(met), reverse=order == "desc")
    assert len(met) == 7
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-7 // limit)


def test_x_next_and_link_agree_and_are_absolute(ada: Caller, listing: str) -> None:
    answer = ada.get(f"{listing}?limit=3")
    url = answer.headers["x-next"]
    assert url.startswith(f"http://localhost{listing}?")
    assert answer.headers["Link"] == f'<{url}>; rel="next"'
    last = ada.get(f"{listing}?limit=7")
    assert "x-next" not in last.headers
    assert "Link" not in last.headers


def test_a_bare_cursor_works_with_another_limit(ada: Caller, listing: str) -> None:
    cursor = cursor_of(ada.get(f"{listing}?limit=3").headers["x-next"])
    rest = ada.get(f"{listing}?limit=50&cursor={cursor}").json
    assert [item["title"] for item in rest] == ["3", "4", "5", "6"]


def test_a_cursor_outlives_its_item(ada: Caller, listing: str, project: dict[str, Any]) -> None:
    """An item created during a walk appears if its id is still ahead."""
    answer = ada.get(f"{listing}?limit=3")
    late = ada.new_document("late", project_id=project["id"])
    assert ada.walk(answer.headers["x-next"])[-1][-1] == late


def invalid(cursor: str, listing: str) -> Iterator[str]:
    """Yield URLs that misuse a good cursor."""
    yield f"{listing}?cursor={cursor[:-1]}"
    yield f"{listing}?cursor={cursor}A"
    yield f"{listing}?cursor=1{cursor}"
    yield f"{listing}?cursor="
    yield f"{listing}?cursor=%00%ff"
    yield f"{listing}?cursor={cursor}&order=desc"
    yield f"{listing}?cursor={cursor}&ids=1,2"
    yield f"/documents?cursor={cursor}"
    yield f"/projects?cursor={cursor}"


def test_a_cursor_is_good_for_nothing_else(ada: Caller, listing: str) -> None:
    cursor = cursor_of(ada.get(f"{listing}?limit=3").headers["x-next"])
    for url in invalid(cursor, listing):
        answer = ada.get(url)
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_cursor"), url


def test_a_cursor_belongs_to_its_principal(ada: Caller, caller: Callable[..., Caller], listing: str) -> None:
    url = ada.get(f"{listing}?limit=3").headers["x-next"]
    assert caller().get(url).json["error"] == "invalid_cursor"


def test_a_limit_above_the_maximum_gives_the_maximum(
    ada: Caller, make_app: Callable[..., Application], listing: str
) -> None:
    small = Caller(make_app(page_size=2, max_page_size=3), ada.key)
    assert len(small.get(f"{listing}?limit=2147483647").json) == 3
    assert len(small.get(listing).json) == 2


@pytest.mark.parametrize(
    "limit",
    [
        "0",
        "-1",
        "+1",
        "1.5",
        "abc",
        "",
        "1e2",
        "%201",
        "1_0",
        "１２",
        "01",
        "0x10",
        "2147483648",
        "99999999999999999999",
    ],
)
def test_an_unusable_limit_is_a_400(ada: Caller, limit: str) -> None:
    answer = ada.get(f"/documents?limit={limit}")
    assert answer.status_code == 400
    assert [fault["location"] for fault in answer.json["errors"]] == ["query.limit"]


def test_a_repeated_parameter_is_a_400(ada: Caller) -> None:
    answer = ada.get("/documents?limit=1&limit=2")
    assert answer.status_code == 400
    assert answer.json["errors"] == [{"location": "query.limit", "reason": "Given more than once."}]


def test_a_trusted_proxy_sets_the_address_in_links(
    ada: Caller, make_app: Callable[..., Application], listing: str
) -> None:
    behind = Caller(make_app(trusted_proxies=1), ada.key)
    forwarded = {
        "x_forwarded_host": "evil.example, api.example.com",
        "x_forwarded_proto": "http, https",
        "x_forwarded_port": "8443",
        "x_forwarded_prefix": "/api",
    }
    for condition in ({}, {"if_none_match": "*"}):
        answer = behind.get(f"{listing}?limit=1", **forwarded, **condition)
        assert answer.headers["x-next"].startswith(f"https://api.example.com:8443/api{listing}?limit=1&cursor=")
        assert answer.headers["Link"] == f'<{answer.headers["x-next"]}>; rel="next"'
    headers = {name.replace("_", "-"): value for name, value in forwarded.items()}
    created = behind.request("POST", "/documents", json={"title": "x"}, headers=headers)
    assert created.headers["Location"] == f"https://api.example.com:8443/api/documents/{created.json['id']}"


def test_behind_no_proxy_forwarded_headers_are_not_believed(ada: Caller, listing: str) -> None:
    answer = ada.get(f"{listing}?limit=1", x_forwarded_host="evil.example", x_forwarded_proto="https")
    assert answer.headers["x-next"].startswith("http://localhost/")


def test_a_document_that_leaves_a_project_during_a_listing_is_not_on_its_page(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id = ada.new_project()["id"]
    moving, staying = (ada.new_document(title, project_id=project_id) for title in ("moving", "staying"))
    page = Index.page

    def moved(self: Index, query: ListQuery) -> Page:
        rows = page(self, query)
        monkeypatch.undo()
        assert ada.request("PATCH", f"/documents/{moving['id']}", json={"project_id": None}).status_code == 200
        return rows

    monkeypatch.setattr(Index, "page", moved)
    assert ada.get(f"/projects/{project_id}/documents").json == [staying]


def test_a_page_ends_early_where_its_items_are_large(
    ada: Caller, listing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "MAX_PAGE_BYTES", 100)
    monkeypatch.setattr(items, "FIRST_READ_ROWS", 3)
    first = ada.get(f"{listing}?limit=6", Cache_Control="no-cache")
    assert 0 < len(first.json) < 6
    pages = ada.walk(f"{listing}?limit=6")
    assert [item["title"] for page in pages for item in page][:7] == list("0123456")
    assert len(pages) > 2
    for tag in (first.headers["ETag"], "*"):
        spared = ada.get(f"{listing}?limit=6", If_None_Match=tag, Cache_Control="no-cache")
        assert spared.status_code == 304
        assert [spared.headers[name] for name in ("ETag", "x-next")] == [first.headers[n] for n in ("ETag", "x-next")]


def test_many_absent_ids_take_few_requests(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[int] = []
    view = Database.view

    def counted(self: Database, *args: Any, **kwargs: Any) -> Any:
        requests.append(len(kwargs.get("keys") or ()))
        return view(self, *args, **kwargs)

    monkeypatch.setattr(Database, "view", counted)
    ids = ",".join(str(10**6 + n) for n in range(860))
    assert ada.get(f"/documents?limit=1&ids={ids}").json == []
    assert requests[:6] == [2, 200, 200, 200, 200, 58]
