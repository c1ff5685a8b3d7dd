"""The offline editor in Chromium, with the network off and on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.domain.access import SCOPES
from proofs.proxy import Exchange, Fault, Proxy
from tests.examples.person import Person
from tests.server.live import Live, command, create_key
from tests.waiting import wait_until

People = Callable[..., Person]

SCRIPT = "INT. KITCHEN\nAda pours coffee.\nBen reads.\nThe phone rings.\nNobody moves.\n"


@contextmanager
def offline(network: Proxy, person: Person) -> Iterator[None]:
    """Cut the network of a person, and wait until the page shows it. Afterwards it is back."""
    with network.down():
        person.wake()
        person.tab.wait_for("document.querySelector('#status-text').textContent.startsWith('Offline')")
        yield


@pytest.fixture
def document(live: Live, key: str) -> int:
    """A document with a short script."""
    status, created = live.request("POST", "/documents", key, {"title": "Pilot", "content": SCRIPT})
    assert status == 201
    return int(created["id"])


def stored(live: Live, key: str, document: int) -> dict[str, Any]:
    """Return a document of the service."""
    status, value = live.request("GET", f"/documents/{document}", key)
    assert status == 200
    return dict(value)


def test_edits_of_other_lines_made_offline_are_in_both(
    person: People, service: Proxy, other_service: Proxy, document: int
) -> None:
    ada, ben = person(), person(network=other_service)
    with offline(other_service, ben):
        with offline(service, ada):
            for each, line, changed in ((ada, "pours coffee", "pours tea"), (ben, "Nobody moves", "Everybody runs")):
                each.open(document)
                each.replace(line, changed)
                each.sees_status("Offline · 1 queued")
        ada.save()
    both = SCRIPT.replace("pours coffee", "pours tea").replace("Nobody moves", "Everybody runs")
    ben.save()
    for each in (ben, ada):
        each.sees_text(both)
    ben.sees("were merged", "#item-note")


def test_the_same_line_clashes_and_is_resolved(
    person: People, service: Proxy, other_service: Proxy, document: int
) -> None:
    ada, ben = person(), person(network=other_service)
    with offline(other_service, ben):
        with offline(service, ada):
            for each, changed in ((ada, "rings twice"), (ben, "is dead")):
                each.open(document)
                each.replace("rings", changed)
                each.sees_status("Offline · 1 queued")
        ada.save()
    ben.wake()
    ben.sees_status("Online · 1 to decide")
    ben.sees("The phone is dead.", ".sides")
    ben.sees("The phone rings twice.", ".sides")
    # The text of the person stays as it is until there is a choice, also over a reload.
    ben.sees_text(SCRIPT.replace("rings", "is dead"))
    ben.reload()
    ben.tab.click(".problem input[value=both]")
    ben.tab.click(".problem [type=submit]")
    for each in (ben, ada):
        each.sees_text(SCRIPT.replace("The phone rings.\n", "The phone is dead.\nThe phone rings twice.\n"))
    ben.sees_status("Online · all saved")


def test_a_hundred_documents_made_offline_keep_their_ids(person: People, service: Proxy, live: Live, key: str) -> None:
    ada = person()
    with offline(service, ada):
        ids = ada.new_documents(100)
        ada.sees_status("Offline · 100 queued")
    ada.save()
    assert set(ids) <= set(ada.ids())
    path = f"/documents?ids={','.join(map(str, ids))}&limit=1000"
    assert [value["id"] for value in live.request("GET", path, key)[1]] == sorted(set(ids))
    assert len(set(ids)) == 100


def test_the_page_starts_offline_and_a_reload_loses_nothing(
    person: People, page: Proxy, service: Proxy, live: Live, key: str, document: int
) -> None:
    ada = person(is_remembered=True)
    ada.open(document)
    ada.tab.wait_for("navigator.serviceWorker.controller?.state === 'activated'")
    with page.down(), offline(service, ada):
        ada.replace("Ben reads", "Ben sleeps")
        created = ada.new_document("Written without a network", "A line.\n")
        ada.sees_status("Offline · 2 queued")
        ada.reload()
        ada.sees_status("Offline · 2 queued")
        ada.sees_text("A line.\n")
        ada.open(document)
        ada.sees_text(SCRIPT.replace("Ben reads", "Ben sleeps"))
    ada.save()
    assert stored(live, key, document)["content"] == SCRIPT.replace("Ben reads", "Ben sleeps")
    assert stored(live, key, created)["title"] == "Written without a network"


def test_a_key_revoked_while_offline_is_reported_and_the_text_stays(
    person: People, service: Proxy, live: Live, environ: dict[str, str], key: str, document: int
) -> None:
    own_key = create_key(environ, SCOPES)
    ada = person(own_key["key"])
    with offline(service, ada):
        ada.open(document)
        ada.replace("Ben reads", "Ben sings")
        ada.new_document("Made before the key was revoked")
        ada.sees_status("Offline · 2 queued")
        assert command("keys", "revoke", str(own_key["id"]), environ=environ).returncode == 0
        wait_until(lambda: live.request("GET", "/documents", own_key["key"])[0] == 401, "the key is refused")
    ada.wake()
    ada.sees_status("Key refused · 2 queued")
    ada.sees("Your text is kept on this device", "#sync-state")
    ada.reload()
    ada.open(document)
    ada.sees_text(SCRIPT.replace("Ben reads", "Ben sings"))
    ada.tab.click("#connect")
    ada.connect(key)
    assert stored(live, key, document)["content"] == SCRIPT.replace("Ben reads", "Ben sings")
    # Its id was reserved for the other principal, so it has got another one.
    titles = [each["title"] for each in live.request("GET", "/documents?limit=1000", key)[1]]
    assert titles.count("Made before the key was revoked") == 1


def test_a_change_whose_answer_was_lost_is_stored_once(
    person: People, service: Proxy, live: Live, key: str, document: int
) -> None:
    ada = person()
    ada.open(document)

    def lose(exchange: Exchange) -> bool:
        exchange.answer()
        return False

    with service.doing(Fault("lost", lose), lambda request: request.target.endswith("/batch") and request.is_write):
        ada.replace("Ben reads", "Ben dances")
        created = ada.new_document("Sent twice")
        ada.wake()
        ada.sees_status("Offline · 2 queued")
        # These come on top of a request that may have been stored.
        ada.write("More text.\n")
        ada.open(document)
        ada.replace("Ben dances", "Ben dances badly")
        ada.tab.wait_for("document.querySelector('#item-state').textContent === 'Queued'")
    ada.save()
    assert stored(live, key, document)["content"] == SCRIPT.replace("Ben reads", "Ben dances badly")
    assert stored(live, key, created)["content"] == "More text.\n"
    assert [each["title"] for each in live.request("GET", "/documents?limit=1000", key)[1]].count("Sent twice") == 1


def test_a_change_that_is_refused_blocks_nothing(person: People, live: Live, key: str, document: int) -> None:
    project = live.request("POST", "/projects", key, {"name": "Not empty"})[1]["id"]
    assert live.request("POST", "/documents", key, {"title": "Inside", "project_id": project})[0] == 201
    ada = person()
    ada.tab.evaluate(f"location.hash = 'project-{project}'")
    ada.tab.click("#delete")
    ada.open(document)
    ada.replace("Ben reads", "Ben laughs")
    ada.sees_status("Online · 1 to decide")
    assert stored(live, key, document)["content"] == SCRIPT.replace("Ben reads", "Ben laughs")
    ada.tab.evaluate(f"location.hash = 'project-{project}'")
    ada.sees("did not delete this", ".problem")
    ada.tab.click(".problem .primary")
    ada.sees_status("Online · all saved")


def test_a_key_that_may_only_read_shows_the_documents(person: People, environ: dict[str, str], document: int) -> None:
    ada = person(create_key(environ, ["documents:read"])["key"])
    ada.open(document)
    ada.replace("Ben reads", "Ben writes")
    ada.sees_status("Online · 1 to decide")
    ada.sees("did not accept this change", ".problem")
    ada.tab.click(".problem .actions :last-child")
    ada.sees_text(SCRIPT)
    ada.sees_status("Online · all saved")


def test_changes_of_others_show_as_they_happen(person: People, live: Live, key: str, document: int) -> None:
    ada = person()
    ada.open(document)
    status, _ = live.request("PUT", f"/documents/{document}", key, {"title": "Pilot 2", "content": "Short.\n"})
    assert status == 200
    ada.sees_text("Short.\n")
    ada.sees(": 1 line added, 5 lines removed.", "#item-note")
    assert live.request("DELETE", f"/documents/{document}", key)[0] == 204
    ada.sees("It is not here", "#main")


def test_two_windows_of_one_browser_show_the_same_text(
    person: People, browser: Any, page: Proxy, service: Proxy, document: int
) -> None:
    ada = person()
    ada.open(document)
    profile = ada.tab.call("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    other = Person(browser.new_tab(profile), f"{page.url}/", service.url)
    other.tab.wait_for("!!document.querySelector('#connection, .hint')")
    with offline(service, ada):
        other.open(document)
        ada.replace("Ben reads", "Ben waits")
        other.sees_text(SCRIPT.replace("Ben reads", "Ben waits"))
        other.replace("Ada pours", "Ada spills")
        ada.sees_text(SCRIPT.replace("Ben reads", "Ben waits").replace("Ada pours", "Ada spills"))
    ada.save()
    other.tab.call("Page.close")


def test_a_client_that_was_away_for_too_long_starts_again(
    person: People, service: Proxy, live: Live, key: str, environ: dict[str, str], document: int
) -> None:
    ada = person()
    with offline(service, ada):
        assert live.request("DELETE", f"/documents/{document}", key)[0] == 204
        assert command("feeds", "renew", environ=environ).returncode == 0
        assert document in ada.ids()
    ada.save()
    ada.tab.wait_for(f"!document.querySelector('a[href=\"#document-{document}\"]')")


def test_the_status_is_busy_while_a_text_is_stored(person: People, document: int) -> None:
    ada = person()
    ada.open(document)
    script = """(text, status) => {
      text.value += "More.";
      text.dispatchEvent(new Event("input"));
      return status.ariaBusy;
    }"""
    elements = ", ".join(f"document.querySelector('{selector}')" for selector in ("#text", "#status"))
    assert ada.tab.evaluate(f"({script})({elements})") == "true"
    ada.sees_status("Online · all saved")


def test_the_key_is_in_no_url(person: People, key: str) -> None:
    ada = person(is_remembered=True)
    ada.new_document("Looked at")
    ada.save()
    assert any("/changes?" in url for url in ada.tab.requested())
    assert [url for url in ada.tab.requested() if key in url] == []
    places = ada.tab.evaluate(
        "[location.href, JSON.stringify(localStorage), document.cookie, JSON.stringify(sessionStorage)]"
    )
    assert [place for place in places if key in place] == []
