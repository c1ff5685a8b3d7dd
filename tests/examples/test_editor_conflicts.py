"""The offline editor and a document that was changed in two regions in ways that the service cannot merge."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from app.settings import Settings
from app.wiring import Services
from tests.api.conflicts import bring_versions
from tests.examples.person import Person
from tests.server.live import Live
from tests.waiting import wait_until

BASE = "INT. KITCHEN\nThe phone rings.\nSilence.\nNobody moves.\n"
OURS, THEIRS = "The phone rings twice.", "The phone is dead."


@pytest.fixture
def services(environ: dict[str, str]) -> Iterator[Services]:
    """The services of an operator."""
    services = Services.build(Settings.parse(environ))
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
    # An edit of another line waits for the decision, and is merged into it.
    ada.replace("Nobody moves", "Ben moves")
    ada.sees_status("Online · 1 to decide")
    ada.sees("more than one version", ".problem")
    ada.sees(OURS, ".sides")
    ada.sees(THEIRS, ".sides")
    ada.tab.click(".problem .side:last-child input")
    ada.tab.click(".problem [type=submit]")
    ada.sees_text(BASE.replace("The phone rings.", THEIRS).replace("Nobody moves", "Ben moves"))
    ada.sees_status("Online · all saved")
    assert live.request("GET", conflict, key)[1]["reason"] is None
