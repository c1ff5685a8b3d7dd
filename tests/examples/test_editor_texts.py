"""The text functions of the offline editor, by random texts: differences, places of a cursor, and line endings."""

from __future__ import annotations

from typing import Any

import pytest

from proofs.proxy import Proxy
from tests.api.browser import Browser, Tab

# Chooses lines out of few, so that texts have many in common, and now and then leaves out the last line's end.
RANDOM = """
let seed = 1;
const random = (count) => (seed = (seed * 48271) % 2147483647) % count;
const text = (ends) => {
  const lines = Array.from({ length: random(12) }, () => "abcd"[random(4)] + ends[random(ends.length)]).join("");
  return random(3) ? lines : lines + "end";
};
"""


@pytest.fixture
def tab(browser: Browser, page: Proxy) -> Tab:
    """A tab that can import the editor's modules."""
    tab = browser.new_tab(browser.new_profile())
    tab.call("Page.navigate", url=f"{page.url}/icon.svg")
    tab.wait_for("location.pathname === '/icon.svg'")
    return tab


def failures(tab: Tab, module: str, names: str, check: str) -> list[Any]:
    """Return the pairs among 300 random texts `before` and `after` that fail the expression ``check``."""
    script = f"""(async () => {{
      const {{ {names} }} = await import("/js/{module}.js");
      {RANDOM}
      const failures = [];
      for (let number = 0; number < 300; number++) {{
        const [before, after] = [text(ENDS), text(ENDS)];
        if (!({check})) failures.push([before, after]);
      }}
      return failures;
    }})()"""
    result: list[Any] = tab.evaluate(
        script.replace("ENDS", '["\\n"]' if module == "diff" else '["\\n", "\\r\\n", "\\r"]')
    )
    return result


def test_a_difference_leads_from_one_text_to_the_other(tab: Tab) -> None:
    of = "diffLines(before, after).filter(({kind}) => kind !== '%s').map(({line}) => line).join('')"
    check = f"{of % 'added'} === before && {of % 'removed'} === after"
    assert failures(tab, "diff", "diffLines", check) == []


def test_a_difference_of_long_texts_is_found_at_once(tab: Tab) -> None:
    script = """import("/js/diff.js").then(({ diffLines }) => {
      const lines = (name) => Array.from({ length: 20000 }, (_, number) => `${name} ${number}\\n`).join("");
      return [diffLines(lines("a"), lines("a") + "b\\n").length, diffLines(lines("a"), lines("b")).length];
    })"""
    assert tab.evaluate(script) == [20_001, 40_000]


def test_a_cursor_stays_in_the_text(tab: Tab) -> None:
    places = "[...before, ''].map((_, place) => movedPosition(before, after, place))"
    check = f"{places}.every((place) => place >= 0 && place <= after.length)"
    assert failures(tab, "diff", "movedPosition", check) == []
    same = "[...before].every((_, place) => movedPosition(before, 'new\\n' + before, place) === place + 4)"
    assert failures(tab, "diff", "movedPosition", same) == []


def test_line_endings_of_other_systems_stay(tab: Tab) -> None:
    names = "shownText, storedText"
    assert failures(tab, "line-endings", names, "storedText(before, shownText(before)) === before") == []
    edited = "shownText(storedText(before, shownText(after))) === shownText(after)"
    assert failures(tab, "line-endings", names, edited) == []
    added = "storedText(before, shownText(before) + '\\nnew').startsWith(before)"
    assert failures(tab, "line-endings", names, added) == []
