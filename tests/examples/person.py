"""A person at the offline editor: a tab of a browser, with the actions and sights of a user."""

from __future__ import annotations

import json
from typing import Any

from tests.api.browser import Tab

# The page is busy while it stores something on the device.
STATUS = "document.querySelector('#status:not([aria-busy]) #status-text')?.textContent"
TEXT = "document.querySelector('#text')?.value"


class Person:
    """A user of the editor in ``tab``."""

    def __init__(self, tab: Tab, page: str, service: str) -> None:
        self.tab, self._page, self._service = tab, page, service
        self.tab.call("Page.navigate", url=page)

    def connect(self, key: str, *, is_remembered: bool = False) -> None:
        """Enter the service and the key, and wait until everything is synced."""
        self.tab.wait_for("!!document.querySelector('#connection[open]')")
        self.tab.evaluate(f"document.querySelector('#url').value = {json.dumps(self._service)}")
        self.tab.click("#key")
        self.tab.type(key)
        self.tab.click(f"[name=remember][value={'yes' if is_remembered else 'no'}]")
        self.tab.click("#connection [type=submit]")
        self.sees_status("Online · all saved")

    def reload(self) -> None:
        """Load the page again, and wait until it has started."""
        self.tab.evaluate("window.isOld = true")
        self.tab.call("Page.reload")
        self.tab.wait_for(f"!window.isOld && {STATUS} && {STATUS} !== 'Starting'")

    def open(self, document: int) -> None:
        """Open a document, and wait until the page shows it."""
        self.tab.evaluate(f"location.hash = 'document-{document}'")
        self.tab.wait_for(f"!!document.querySelector('.entry[href=\"#document-{document}\"][aria-current]')")

    def new_document(self, title: str, text: str = "") -> int:
        """Write a new document, and return its id."""
        before = self.tab.evaluate("location.hash")
        self.tab.click("#new-document")
        place: str = self.tab.wait_for(
            f"location.hash !== {json.dumps(before)} && document.activeElement?.id === 'title' && location.hash"
        )
        self.tab.type(title)
        if text:
            self.write(text)
        self.tab.wait_for(f"document.querySelector('.entry[aria-current]')?.innerText.startsWith({json.dumps(title)})")
        return int(place.removeprefix("#document-"))

    def new_documents(self, count: int) -> list[int]:
        """Press the button for a new document this often, and return the ids."""
        script = """(async count => {
          const ids = [];
          while (ids.length < count) {
            const opened = new Promise((resolve) => addEventListener("hashchange", resolve, { once: true }));
            document.querySelector("#new-document").click();
            await opened;
            ids.push(Number(location.hash.split("-")[1]));
          }
          return ids;
        })"""
        ids: list[int] = self.tab.evaluate(f"{script}({count})")
        return ids

    def write(self, text: str) -> None:
        """Replace the text of the open document by selecting and typing."""
        self.tab.evaluate("document.querySelector('#text').focus(), document.querySelector('#text').select()")
        self.tab.type(text)

    def replace(self, before: str, after: str) -> None:
        """Replace one place in the text of the open document."""
        selection = json.dumps(before)
        self.tab.evaluate(
            f"(field => {{ const start = field.value.indexOf({selection}); field.focus();"
            f" field.setSelectionRange(start, start + {selection}.length); }})(document.querySelector('#text'))"
        )
        self.tab.type(after)

    def save(self) -> None:
        """Sync now, and wait until nothing is queued."""
        self.wake()
        self.sees_status("Online · all saved")

    def wake(self) -> None:
        """Let the page look for the service now, as a browser does when the network is back."""
        self.tab.evaluate("dispatchEvent(new Event('online'))")

    def sees_status(self, text: str) -> None:
        """Wait until everything is stored on the device and the bar shows this state."""
        self.tab.wait_for(f"{STATUS} === {json.dumps(text)}")

    def sees_text(self, text: str) -> None:
        """Wait until the open document has this text."""
        self.tab.wait_for(f"{TEXT} === {json.dumps(text)}")

    def sees(self, text: str, selector: str = "body") -> None:
        """Wait until a part of the page shows this text."""
        self.tab.wait_for(f"document.querySelector('{selector}')?.innerText.includes({json.dumps(text)})")

    def ids(self) -> list[int]:
        """Return the ids of the documents in the list."""
        script = "[...document.querySelectorAll('#list li a')].map(link => Number(link.hash.split('-')[1]))"
        ids: list[int] = self.tab.evaluate(script)
        return ids

    def look(self, width: int, height: int, theme: str) -> None:
        """Look at the page in this size and theme, without colours that are still changing."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        media = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in media.items()]
        self.tab.call("Emulation.setDeviceMetricsOverride", **size)
        self.tab.call("Emulation.setEmulatedMedia", features=features)
        self.tab.wait_for(f"matchMedia('(prefers-color-scheme: {theme})').matches")

    def press(self, key: str, code: int, text: str = "", modifiers: int = 0) -> None:
        """Press a key with its Windows key code; ``modifiers`` is a sum: 2 for Ctrl, 8 for Shift."""
        event: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.tab.call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        self.tab.call("Input.dispatchKeyEvent", type="keyUp", **event)
