"""The offline editor without a mouse: from the list to the text, and from an edit to its undo."""

from __future__ import annotations

from collections.abc import Callable

from tests.examples.person import Person
from tests.server.live import Live

TAB, ENTER, SPACE, S = 9, 13, 32, 83
CTRL, SHIFT = 2, 8
MAX_STEPS = 400
BEFORE, AFTER = "The phone rings.\n", "The phone is silent.\n"


def go_to(person: Person, selector: str, modifiers: int = 0) -> None:
    """Press Tab until an element has the focus, which must be visible on the way."""
    for _ in range(MAX_STEPS):
        person.press("Tab", TAB, modifiers=modifiers)
        if person.tab.evaluate(f"document.activeElement.matches({selector!r})"):
            assert person.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_an_edit_is_saved_and_undone(person: Callable[..., Person], live: Live, key: str) -> None:
    status, created = live.request("POST", "/documents", key, {"title": "Typed", "content": BEFORE})
    assert status == 201
    ada = person()
    ada.sees("Typed", "#list")
    go_to(ada, f"a[href='#document-{created['id']}']")
    ada.press("Enter", ENTER, "\r")
    ada.tab.wait_for("document.activeElement.id === 'main'")
    go_to(ada, "#text")
    ada.press("a", 65, modifiers=CTRL)
    ada.tab.evaluate("document.activeElement.select()")
    ada.tab.type(AFTER)
    ada.press("s", S, modifiers=CTRL)
    ada.sees_status("Online · all saved")
    go_to(ada, "#versions", SHIFT)
    ada.press("Enter", ENTER, "\r")
    ada.tab.wait_for("document.querySelectorAll('.versions li').length === 2")
    go_to(ada, ".versions li:nth-child(2) summary")
    ada.press("Enter", ENTER, "\r")
    ada.sees(BEFORE.strip(), ".versions del")
    go_to(ada, ".restore")
    ada.press("Enter", ENTER, "\r")
    ada.sees_text(BEFORE)
    assert live.request("GET", f"/documents/{created['id']}", key)[1]["content"] == BEFORE


def test_a_deleted_document_is_brought_back(person: Callable[..., Person], live: Live, key: str) -> None:
    status, created = live.request("POST", "/documents", key, {"title": "Deleted", "content": BEFORE})
    assert status == 201
    ada = person()
    ada.open(created["id"])
    ada.tab.evaluate("document.querySelector('#text').focus()")
    go_to(ada, "#delete", SHIFT)
    ada.press("Enter", ENTER, "\r")
    ada.tab.wait_for("document.activeElement.id === 'message-action'")
    ada.wake()
    ada.sees_status("Online · all saved")
    assert live.request("GET", f"/documents/{created['id']}", key)[0] == 404
    ada.press("Enter", ENTER, "\r")
    ada.sees_text(BEFORE)
    assert live.request("GET", f"/documents/{created['id']}", key)[1]["title"] == "Deleted"
