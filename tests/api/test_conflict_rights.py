"""The conflicts that a key may see: in the list of open conflicts, and each version by its own project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from app import Application
from app.domain.access import SCOPES
from app.domain.conflicts import listing
from app.services import Services
from tests.api.conflicts import bring_versions
from tests.api.conftest import Caller


class Moved(NamedTuple):
    """A document with one version in each of two projects."""

    path: str
    tags: list[str]
    projects: list[int]


@pytest.fixture
def moved(ada: Caller, services: Services) -> Moved:
    projects = [ada.new_project()["id"] for _ in range(2)]
    document_id = ada.new_document("Base")["id"]
    versions = [{"title": f"In {project}", "project_id": project} for project in projects]
    tags = bring_versions(services, "documents", document_id, *versions)
    return Moved(f"/documents/{document_id}", tags, projects)


@pytest.fixture
def limited(app: Application, services: Services) -> Callable[..., Caller]:
    """Make callers with limited keys."""

    def make(mode: str = "forbid", **limits: Any) -> Caller:
        return Caller(app, services.keys.create("limited", SCOPES, out_of_scope=mode, **limits)[1])

    return make


@pytest.mark.parametrize("place", [0, 1], ids=["the current one", "another"])
def test_a_key_that_is_limited_to_a_project_sees_the_version_in_it(
    moved: Moved, limited: Callable[..., Caller], place: int
) -> None:
    answer = limited(projects=[moved.projects[place]]).get(f"{moved.path}/conflicts")
    assert (answer.status_code, answer.json["reason"], answer.json["merge"]) == (200, "clash", {})
    # The version that both come from was in no project.
    assert answer.json["base"] is None
    assert [version["etag"] for version in answer.json["versions"]] == [moved.tags[place]]
    assert f"In {moved.projects[1 - place]}" not in answer.text


@pytest.mark.parametrize(("mode", "status"), [("forbid", 403), ("hide", 404)])
@pytest.mark.parametrize("place", [0, 1], ids=["the current one", "another"])
def test_only_a_key_that_sees_all_versions_resolves_them(
    moved: Moved, limited: Callable[..., Caller], mode: str, status: int, place: int
) -> None:
    body = {"keep": moved.tags[place], "supersedes": moved.tags}
    refused = limited(mode, projects=[moved.projects[place]]).post(f"{moved.path}/resolve", body)
    assert refused.status_code == status
    assert limited(mode, projects=moved.projects).post(f"{moved.path}/resolve", body).status_code == 200


def test_a_key_that_is_limited_to_the_document_sees_and_resolves_everything(
    moved: Moved, limited: Callable[..., Caller]
) -> None:
    caller = limited(documents=[int(moved.path.rpartition("/")[2])])
    answer = caller.get(f"{moved.path}/conflicts")
    assert (len(answer.json["versions"]), set(answer.json["merge"])) == (2, {"title", "content", "project_id"})
    # Its limits do not include the project that the document would be moved from or to.
    body = {"keep": moved.tags[0], "supersedes": moved.tags}
    assert caller.post(f"{moved.path}/resolve", body).status_code == 200


def test_a_hidden_conflict_is_answered_like_a_missing_document(
    ada: Caller, moved: Moved, limited: Callable[..., Caller]
) -> None:
    caller, headers = limited("hide", projects=[ada.new_project()["id"]]), {"X-Request-ID": "same"}
    number, absent = moved.path.rpartition("/")[2], "987654321"
    for method, suffix, body in (
        ("GET", "conflicts", {}),
        ("POST", "resolve", {"json": {"keep": moved.tags[0], "supersedes": moved.tags}}),
        ("PATCH", "", {"json": {"title": "New"}}),
        ("DELETE", "", {}),
    ):
        hidden, missing = (
            caller.request(method, f"/documents/{each}/{suffix}".rstrip("/"), headers=headers, **body)
            for each in (number, absent)
        )
        assert (hidden.status_code, hidden.text.replace(number, "N")) == (404, missing.text.replace(absent, "N"))


def conflicts_of(caller: Caller, path: str = "/conflicts") -> list[tuple[str, int]]:
    return [(each["type"], each["id"]) for page in caller.walk(path) for each in page]


@pytest.fixture
def opened(ada: Caller, services: Services) -> list[tuple[str, int]]:
    """Three projects and three documents with open conflicts, in the order of the list."""
    items = []
    for kind, name in (("projects", "name"), ("documents", "title")):
        for _ in range(3):
            public_id = ada.post(f"/{kind}", {name: "Base"}).json["id"]
            bring_versions(services, kind, public_id, {name: "Ours"}, {name: "Theirs"})
            items.append((kind.removesuffix("s"), public_id))
    merged = ada.new_document("Base")["id"]
    bring_versions(services, "documents", merged, {"title": "New"}, {"content": "New"})
    return items


def test_the_list_has_the_open_conflicts_by_type_and_id(ada: Caller, opened: list[tuple[str, int]]) -> None:
    answer = ada.get("/conflicts?limit=1000")
    listed = [(each["type"], each["id"]) for each in answer.json]
    assert [each for each in listed if each in opened] == opened
    assert listed == sorted(listed, key=lambda each: (each[0] != "project", each[1]))
    assert not {"x-next", "Link"} & set(answer.headers.keys())
    row = next(each for each in answer.json if (each["type"], each["id"]) == opened[-1])
    etag = ada.get(f"/documents/{row['id']}").headers["ETag"]
    assert row == {"type": "document", "id": row["id"], "etag": etag, "reason": "clash"}


def test_the_pages_of_the_list_are_those_of_every_listing(
    ada: Caller, opened: list[tuple[str, int]], caller: Callable[..., Caller]
) -> None:
    whole = conflicts_of(ada, "/conflicts?limit=1000")
    for limit in (1, 2, len(whole)):
        assert conflicts_of(ada, f"/conflicts?limit={limit}") == whole
    first = ada.get("/conflicts?limit=1")
    assert first.headers["Link"] == f'<{first.headers["x-next"]}>; rel="next"'
    again = ada.get("/conflicts?limit=1", if_none_match=first.headers["ETag"])
    assert (again.status_code, again.headers["x-next"]) == (304, first.headers["x-next"])
    assert caller("operate").get(first.headers["x-next"]).json["error"] == "invalid_cursor"
    for query in ("limit=0", "order=desc", "limit=1&limit=2"):
        assert ada.get(f"/conflicts?{query}").status_code == 400
    assert opened[0] in whole


def test_the_tag_of_a_page_changes_with_its_conflicts(ada: Caller, opened: list[tuple[str, int]]) -> None:
    before = ada.get("/conflicts?limit=1000").headers["ETag"]
    assert ada.get("/conflicts?limit=1000").headers["ETag"] == before
    kind, public_id = opened[0]
    tags = [version["etag"] for version in ada.get(f"/{kind}s/{public_id}/conflicts").json["versions"]]
    assert ada.post(f"/{kind}s/{public_id}/resolve", {"keep": tags[1], "supersedes": tags}).status_code == 200
    assert ada.get("/conflicts?limit=1000").headers["ETag"] != before
    assert opened[0] not in conflicts_of(ada)


@pytest.mark.parametrize(
    ("scope", "types"),
    [
        ("documents:read", {"document"}),
        ("projects:read", {"project"}),
        ("operate", {"document", "project"}),
    ],
)
@pytest.mark.usefixtures("opened")
def test_a_key_lists_the_types_that_its_scopes_show(caller: Callable[..., Caller], scope: str, types: set[str]) -> None:
    assert {name for name, _ in conflicts_of(caller(scope))} == types


@pytest.mark.usefixtures("opened")
def test_a_key_without_any_of_the_scopes_lists_nothing(caller: Callable[..., Caller]) -> None:
    assert caller("documents:write").get("/conflicts").status_code == 403


@pytest.mark.parametrize("mode", ["forbid", "hide"])
@pytest.mark.usefixtures("opened")
def test_a_limited_key_lists_the_conflicts_with_a_version_in_its_limits(
    moved: Moved, limited: Callable[..., Caller], mode: str
) -> None:
    number = int(moved.path.rpartition("/")[2])
    for place, project_id in enumerate(moved.projects):
        rows = [row for page in limited(mode, projects=[project_id]).walk("/conflicts") for row in page]
        assert rows == [{"type": "document", "id": number, "etag": moved.tags[place], "reason": "clash"}]


@pytest.mark.usefixtures("opened")
def test_one_request_reads_a_bounded_number_of_items(
    ada: Caller, moved: Moved, limited: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its page may be short or empty then, and the next one goes on after the items that were read."""
    monkeypatch.setattr(listing, "READ_ITEMS", 2)
    whole = conflicts_of(ada)
    monkeypatch.setattr(listing, "MAX_READ_ITEMS", 2)
    assert conflicts_of(ada) == whole
    caller = limited(projects=[moved.projects[1]])
    pages = caller.walk("/conflicts")
    assert len(pages) > len(whole) / 2
    assert [row["id"] for page in pages for row in page] == [int(moved.path.rpartition("/")[2])]
