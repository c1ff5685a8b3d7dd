"""A headless Chromium, driven over the DevTools protocol: just enough of it to look at pages."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

from tests.waiting import MAX_WAIT_SECONDS, wait_until

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
                process.wait(MAX_WAIT_SECONDS)
            finally:
                process.kill()


def address(profile: Path) -> str:
    """Return Chromium's own address; its port and path are in a file as soon as Chromium listens."""
    file = profile / "DevToolsActivePort"
    port, path = wait_until(lambda: file.read_text().splitlines()[:2] if file.exists() else [], "Chromium listens")
    return f"ws://127.0.0.1:{port}{path}"


def tab(browser: str) -> str:
    """Return the address of the tab that Chromium opens at its start."""

    def tabs() -> list[str]:
        with urlopen(f"http://{urlsplit(browser).netloc}/json/list", timeout=MAX_WAIT_SECONDS) as answer:
            return [tab["webSocketDebuggerUrl"] for tab in json.load(answer) if tab["type"] == "page"]

    return wait_until(tabs, "a tab")[0]


class Navigated(Exception):
    """The page was replaced by another one while it evaluated an expression."""


class Target:
    """A tab, or Chromium itself, behind a socket. ``events`` holds every event of the tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self.events: list[dict[str, Any]] = []
        self._numbers, self._socket = itertools.count(), socket

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Return the result of a command of the DevTools protocol. Raises Navigated."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self._socket.recv(timeout=MAX_WAIT_SECONDS))).get("id") != number:
            self.events.append(message)
        if "navigated" in message.get("error", {}).get("message", ""):
            raise Navigated
        assert "result" in message, message
        result: dict[str, Any] = message["result"]
        return result


class Tab(Target):
    """A tab of a Chromium."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(socket)
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

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


class Browser(Tab, AbstractContextManager["Browser"]):
    """The first tab of a new Chromium. ``profile`` is a folder for Chromium to fill."""

    def __init__(self, profile: Path) -> None:
        with ExitStack() as opened:
            opened.enter_context(running(profile))
            self._address = address(profile)
            self._chromium = Target(opened.enter_context(connect(self._address, max_size=None)))
            super().__init__(opened.enter_context(connect(tab(self._address), max_size=None)))
            self._opened = opened.pop_all()

    def new_profile(self) -> str:
        """Return the id of a new profile, with storage of its own, as that of another person's browser."""
        context: str = self._chromium.call("Target.createBrowserContext")["browserContextId"]
        return context

    def new_tab(self, profile: str) -> Tab:
        """Return a new tab of a profile."""
        target = self._chromium.call("Target.createTarget", url="about:blank", browserContextId=profile)["targetId"]
        page = f"ws://{urlsplit(self._address).netloc}/devtools/page/{target}"
        return Tab(self._opened.enter_context(connect(page, max_size=None)))

    def __exit__(self, *_: object) -> None:
        self._opened.close()
