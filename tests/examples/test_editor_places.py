"""The offline editor stays at the document that a person opens while it still stores or sends something else."""

from __future__ import annotations

from proofs.proxy import Exchange, Fault, Proxy
from tests.examples.test_editor import People
from tests.server.live import Live
from tests.waiting import wait_until


def hold_answer(exchange: Exchange) -> bool:
    """Send the request on, and return the answer when the fault is lifted."""
    answer = exchange.answer()
    if not exchange.wait():
        return False
    exchange.client.sendall(answer)
    return True


HELD = Fault("held", hold_answer)


def new_document(live: Live, key: str, title: str, content: str = "A line.\n") -> int:
    """Create a document through the API, and return its id."""
    status, created = live.request("POST", "/documents", key, {"title": title, "content": content})
    assert status == 201
    return int(created["id"])


def test_a_document_that_is_opened_during_a_deletion_stays_open(person: People, live: Live, key: str) -> None:
    other, document = new_document(live, key, "To delete"), new_document(live, key, "Open")
    ada = person()
    ada.open(other)
    ada.tab.evaluate(f"document.querySelector('#delete').click(), location.hash = 'document-{document}'")
    ada.sees("“To delete” was deleted.")
    assert ada.tab.evaluate("location.hash") == f"#document-{document}"


def test_a_document_that_is_opened_during_a_creation_stays_open(person: People, live: Live, key: str) -> None:
    document = new_document(live, key, "Open")
    ada = person()
    before = set(ada.ids())
    ada.tab.evaluate(f"document.querySelector('#new-document').click(), location.hash = 'document-{document}'")
    wait_until(lambda: set(ada.ids()) - before, "the new document is in the list")
    assert ada.tab.evaluate("location.hash") == f"#document-{document}"
    assert ada.tab.evaluate("document.activeElement.id") != "title"


def test_a_document_that_is_opened_during_an_undo_stays_open(
    person: People, service: Proxy, live: Live, key: str
) -> None:
    other, document = new_document(live, key, "To restore"), new_document(live, key, "Open")
    ada = person()
    ada.open(other)
    ada.tab.click("#delete")
    ada.save()
    with service.doing(HELD, lambda request: request.method == "POST" and request.target.endswith("/restore")):
        ada.tab.click("#message-action")
        wait_until(lambda: service.counts["held"], "the undo is sent")
        ada.open(document)
    ada.sees("The version was restored.")
    assert ada.tab.evaluate("location.hash") == f"#document-{document}"
    assert live.request("GET", f"/documents/{other}", key)[1]["title"] == "To restore"
