"""Decisions that the offline editor leaves to people: conflicts between regions, and deletions against edits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from proofs.proxy import Proxy
from tests.api.conflicts import bring_versions
from tests.examples.person import Person
from tests.examples.test_editor import offline
from tests.examples.test_editor_places import HELD
from tests.server.live import Live
from tests.waiting import wait_until

BASE = "INT. KITCHEN\nThe phone rings.\nSilence.\nNobody moves.\n"
OURS, THEIRS = "The phone rings twice.", "The phone is dead."


@pytest.fixture
def services(environ: dict[str, str]) -> Iterator[Services]:
    """The services of an operator."""
    services = build_services(Settings.parse(environ))
    yield services
    services.close()


def test_the_versions_are_shown_and_a_choice_resolves_them(
    person: Callable[..., Person], services: Services, live: Live, key: str
) -> None:
    document = live.request("POST", "/documents", key, {"title": "Two regions", "content": BASE})[1]["id"]
    ada = person()
    ada.open(document)
    ada.sees_text(BASE)
    texts = [BASE.replace("The phone rings.", line) for line in (OURS, THEIRS)]
    bring_versions(services, "documents", document, *({"content": text} for text in texts))
    conflict = f"/documents/{document}/conflicts"
    wait_until(lambda: live.request("GET", conflict, key)[1]["reason"] == "clash", "the conflict is found")
    ada.sees_status("Online · 1 to decide")
    ada.sees("more than one version", ".problem")
    # An edit of another line waits for the decision, and is merged into it.
    ada.replace("Nobody moves", "Ben moves")
    ada.sees(OURS, ".sides")
    ada.sees(THEIRS, ".sides")
    ada.tab.click(".problem .side:last-child input")
    ada.tab.click(".problem [type=submit]")
    ada.sees_text(BASE.replace("The phone rings.", THEIRS).replace("Nobody moves", "Ben moves"))
    ada.sees_status("Online · all saved")
    assert live.request("GET", conflict, key)[1]["reason"] is None


def test_a_late_answer_does_not_show_a_conflict_that_is_resolved(
    person: Callable[..., Person], services: Services, service: Proxy, live: Live, key: str
) -> None:
    document = live.request("POST", "/documents", key, {"title": "Resolved elsewhere", "content": BASE})[1]["id"]
    ada = person()
    ada.open(document)
    with service.doing(HELD, lambda request: request.method == "GET" and request.target.endswith("/conflicts")):
        tags = bring_versions(services, "documents", document, {"content": OURS}, {"content": THEIRS})
        ada.sees("Loading the versions", ".problem")
        resolution = {"value": {"title": "Resolved elsewhere", "content": "New.\n"}, "supersedes": tags}
        assert live.request("POST", f"/documents/{document}/resolve", key, resolution)[0] == 200
        ada.sees_text("New.\n")
        ada.sees_status("Online · all saved")
    ada.tab.wait_for("performance.getEntriesByType('resource').some(({name}) => name.endsWith('/conflicts'))")
    assert ada.tab.evaluate("new Promise(setTimeout).then(() => document.querySelector('.problem'))") is None


def test_a_text_that_others_deleted_is_kept_as_a_new_document(
    person: Callable[..., Person], service: Proxy, live: Live, key: str
) -> None:
    document = live.request("POST", "/documents", key, {"title": "Deleted meanwhile", "content": BASE})[1]["id"]
    ada = person()
    with offline(service, ada):
        ada.open(document)
        ada.replace("Nobody moves", "Ben moves")
        ada.sees_status("Offline · 1 queued")
        assert live.request("DELETE", f"/documents/{document}", key)[0] == 204
    ada.wake()
    ada.sees_status("Online · 1 to decide")
    ada.sees("Others have deleted this", ".problem")
    ada.tab.click(".problem .primary")
    ada.sees_status("Online · all saved")
    [new] = [
        each for each in live.request("GET", "/documents?limit=1000", key)[1] if each["title"] == "Deleted meanwhile"
    ]
    assert new["content"] == BASE.replace("Nobody moves", "Ben moves")
    assert ada.tab.evaluate("location.hash") == f"#document-{new['id']}" != f"#document-{document}"


def test_a_document_that_others_changed_is_not_deleted_unseen(
    person: Callable[..., Person], service: Proxy, live: Live, key: str
) -> None:
    document = live.request("POST", "/documents", key, {"title": "Changed meanwhile", "content": BASE})[1]["id"]
    ada = person()
    ada.open(document)
    with offline(service, ada):
        ada.tab.click("#delete")
        ada.sees_status("Offline · 1 queued")
        assert live.request("PATCH", f"/documents/{document}", key, {"content": "New.\n"})[0] == 200
    ada.wake()
    ada.sees_status("Online · 1 to decide")
    ada.open(document)
    ada.sees_text("New.\n")
    ada.sees("It has not been deleted.", ".problem")
    ada.tab.click(".problem .actions :last-child")
    ada.sees_status("Online · all saved")
    assert live.request("GET", f"/documents/{document}", key)[0] == 404
