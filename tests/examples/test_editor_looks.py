"""The looks of the editor: no violations of accessibility rules, and no sideways scrolling.

`DREAMSCRIPT_TEST_PICTURES=docs/images` has the pictures written into that folder.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proofs.proxy import Proxy
from tests.api.openapi.tools import install_node_tools
from tests.examples.person import Person
from tests.examples.test_editor import offline
from tests.server.live import Live

PICTURES = os.environ.get("DREAMSCRIPT_TEST_PICTURES")
MAX_PICTURE_BYTES = 150_000
PICTURED = {
    *(("text", width, theme) for width in (1440, 360) for theme in ("light", "dark")),
    ("offline", 1440, "light"),
    ("clash", 1440, "dark"),
    ("clash", 360, "light"),
    ("versions", 1440, "light"),
    ("versions", 360, "dark"),
}
SIZES = {1440: 900, 360: 780}
THEMES = ("light", "dark")
AXE = Path("node_modules/axe-core/axe.min.js")

COLD_OPEN = """FADE IN:

INT. KITCHEN - DAWN

ADA pours coffee into the only clean cup. BEN reads
yesterday's paper as if it were today's.

                    ADA
          You know how it ends.

                    BEN
          I like the middle.

The phone rings. Nobody moves.

CUT TO:
"""
OTHERS = ("The phone rings. Nobody moves.", "The phone rings. BEN counts the rings under his breath.")
OWN = ("The phone rings. Nobody moves.", "The phone rings twice, then stops. ADA smiles.")


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core."""
    return (install_node_tools(Path(__file__).parent / "axe", "axe") / AXE).read_text()


@pytest.fixture(scope="module")
def script(live: Live, key: str) -> int:
    """A script in a project, among others."""

    def create(path: str, **value: object) -> int:
        status, created = live.request("POST", path, key, value)
        assert status == 201
        return int(created["id"])

    project = create("/projects", name="The Long Weekend", description="Six episodes of forty minutes.")
    script = create("/documents", title="Pilot: cold open", content=COLD_OPEN, project_id=project)
    for title in ("Pilot: act one", "Episode 2, outline", "Characters"):
        create("/documents", title=title, content=f"{title}\n", project_id=project)
    return script


def check(person: Person, axe: str, state: str) -> None:
    """Look at the page in each size, with a different theme in each; or in every combination, for pictures."""
    for index, width in enumerate(SIZES):
        for theme in THEMES if PICTURES else THEMES[index : index + 1]:
            person.look(width, SIZES[width], theme)
            # A phone makes its view wider than the screen for a page that is too wide.
            person.tab.wait_for(f"innerWidth === {width} && document.documentElement.scrollWidth === {width}")
            assert violations(person, axe) == []
            if PICTURES and (state, width, theme) in PICTURED:
                picture = base64.b64decode(person.tab.call("Page.captureScreenshot", format="png")["data"])
                assert len(picture) <= MAX_PICTURE_BYTES
                (Path(PICTURES) / f"editor-{state}-{width}-{theme}.png").write_bytes(picture)
    person.look(1440, 900, "light")


def violations(person: Person, axe: str) -> list[Any]:
    """Return the rules of axe-core that the page breaks, and where."""
    person.tab.evaluate(axe + ";0")
    result: list[Any] = person.tab.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(({violations}) =>"
        " violations.map(({id, nodes}) => [id, nodes.map(node => node.html + node.failureSummary)]))"
    )
    return result


def test_the_text_the_list_and_the_queue(
    person: Callable[..., Person], service: Proxy, live: Live, key: str, script: int, axe: str
) -> None:
    ada = person()
    ada.look(1440, 900, "light")
    ada.open(script)
    changed = COLD_OPEN.replace("only clean cup", "last clean cup")
    assert live.request("PATCH", f"/documents/{script}", key, {"content": changed})[0] == 200
    ada.sees("Changed by others", "#item-note")
    check(ada, axe, "text")
    with offline(service, ada):
        ada.replace("CUT TO:", "SMASH CUT TO:")
        ada.new_document("Pilot: act two", "INT. STATION - DAY\n")
        ada.sees_status("Offline · 2 queued")
        check(ada, axe, "offline")
    ada.tab.evaluate("location.hash = ''")
    ada.sees("Nothing is open", "#main")
    ada.save()
    check(ada, axe, "list")


def test_a_clash(person: Callable[..., Person], service: Proxy, live: Live, key: str, script: int, axe: str) -> None:
    ada = person()
    ada.look(1440, 900, "light")
    with offline(service, ada):
        ada.open(script)
        ada.replace(*OWN)
        ada.sees_status("Offline · 1 queued")
        content = live.request("GET", f"/documents/{script}", key)[1]["content"].replace(*OTHERS)
        assert live.request("PATCH", f"/documents/{script}", key, {"content": content})[0] == 200
    ada.wake()
    ada.sees_status("Online · 1 to decide")
    ada.sees("counts the rings", ".sides")
    check(ada, axe, "clash")


def test_the_versions(person: Callable[..., Person], script: int, axe: str) -> None:
    ada = person()
    ada.look(1440, 900, "light")
    ada.open(script)
    ada.write(COLD_OPEN.replace("the only clean cup", "a jam jar"))
    ada.save()
    ada.tab.click("#versions")
    ada.tab.wait_for("document.querySelectorAll('.versions li').length > 1")
    ada.tab.click(".versions li:nth-child(2) summary")
    ada.sees("a jam jar", ".versions .diff")
    check(ada, axe, "versions")


def test_the_form_for_the_key(person: Callable[..., Person], axe: str) -> None:
    ada = person()
    ada.tab.click("#connect")
    ada.tab.wait_for("!!document.querySelector('#connection[open]')")
    check(ada, axe, "connection")
