"""A headless Chromium, driven over the DevTools protocol: just enough of it to look at one page."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import connect

from tests.waiting import PATIENCE, wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
    "--window-size=1200,1600",
)


@contextmanager
def running(profile: Path) -> Iterator[None]:
    """Run Chromium with a new profile, and write its output there."""
    assert CHROMIUM is not None
    with (profile / "log").open("wb") as log:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()


def tab(profile: Path) -> str:
    """Return the address of Chromium's tab; the port is in a file as soon as Chromium listens."""
    file = profile / "DevToolsActivePort"
    port = wait_until(lambda: file.exists() and file.read_text().partition("\n")[0], "Chromium listens")

    def tabs() -> list[str]:
        with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as answer:
            return [tab["webSocketDebuggerUrl"] for tab in json.load(answer) if tab["type"] == "page"]

    return wait_until(tabs, "a tab")[0]


class Navigated(Exception):
    """The page was replaced by another one while it evaluated an expression."""


class Browser(AbstractContextManager["Browser"]):
    """One tab of a new Chromium. ``profile`` is a folder for it to fill; ``events`` holds every event of the tab."""

    def __init__(self, profile: Path) -> None:
        self.events: list[dict[str, Any]] = []
        self._numbers = itertools.count()
        with ExitStack() as opened:
            opened.enter_context(running(profile))
            self._socket = opened.enter_context(connect(tab(profile), max_size=None))
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
            self._opened = opened.pop_all()

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Return the result of a command of the DevTools protocol. Raises Navigated."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv(timeout=PATIENCE))).get("id") != number:
            self.events.append(message)
        if "navigated" in message.get("error", {}).get("message", ""):
            raise Navigated
        assert "result" in message, message
        result: dict[str, Any] = message["result"]
        return result

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page; a promise is waited for."""
        reply = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Return the value of the expression as soon as it is true, perhaps on a page that is still to come."""

        def value() -> Any:
            with suppress(Navigated):
                return self.evaluate(expression)

        return wait_until(value, expression)

    def click(self, selector: str) -> None:
        """Click the element of the selector when it exists, even while the page moves it."""
        element = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"!!{element}")
        self.evaluate(f"{element}.focus(), {element}.click()")

    def type(self, text: str) -> None:
        """Type into the focused element."""
        self.call("Input.insertText", text=text)

    def requested(self) -> list[str]:
        """Return the URLs of the tab's requests."""
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [parameters["request"]["url"] for parameters in sent]

    def complaints(self) -> list[object]:
        """Return the errors and warnings of the tab's console."""
        problems: list[object] = []
        for event in self.events:
            parameters = event["params"]
            match event["method"]:
                case "Runtime.exceptionThrown":
                    problems.append(parameters["exceptionDetails"])
                case "Runtime.consoleAPICalled" if parameters["type"] in ("error", "warning", "assert"):
                    problems.append(parameters["args"])
                case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                    problems.append(parameters["entry"])
        return problems

    def __exit__(self, *_: object) -> None:
        self._opened.close()
