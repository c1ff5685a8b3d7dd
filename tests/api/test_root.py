"""The entry at `/`: JSON for programs, a page for browsers."""

from __future__ import annotations

import re
import shlex
from html import unescape
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from tests.api.operations import APP

pytestmark = pytest.mark.nodatabase

# As Firefox and Chromium send it.
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def get(accept: str | None = None, method: str = "GET", **environ: Any) -> TestResponse:
    """Request the root."""
    headers = {} if accept is None else {"Accept": accept}
    return Client(APP).open("/", method=method, headers=headers, environ_overrides=environ)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (BROWSER, "text/html"),
        ("text/html", "text/html"),
        ("text/*", "text/html"),
        ("application/json;q=0.5, text/html", "text/html"),
        ("*/*;q=0.1, text/html;q=0.2", "text/html"),
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html", "application/json"),
        ("application/json, text/html;q=0.9, */*", "application/json"),
        ("text/html;q=0, */*", "application/json"),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "text/html"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_form_is_the_one_that_the_client_prefers(accept: str | None, media_type: str, method: str) -> None:
    answer = get(accept, method)
    assert (answer.status_code, answer.mimetype) == (200, media_type)
    assert (answer.headers["Vary"], answer.headers["Cache-Control"]) == ("Accept", "no-cache")
    assert int(answer.headers["Content-Length"]) > 0
    assert bool(answer.data) == (method == "GET")


def test_other_forms_are_refused_as_json() -> None:
    answer = get("image/png")
    assert (answer.status_code, answer.get_json()["error"]) == (406, "not_acceptable")
    assert answer.get_json()["reason"].startswith("Only application/json or text/html is available")


def test_errors_are_json_in_a_browser_too() -> None:
    answer = Client(APP).get("/nowhere", headers={"Accept": BROWSER})
    assert (answer.status_code, answer.mimetype) == (404, "application/json")


@pytest.mark.parametrize("prefix", ["", "/below/a prefix"])
def test_the_links_of_the_page_lead_back_to_the_service(prefix: str) -> None:
    page = unescape(get(BROWSER, SCRIPT_NAME=prefix).text)
    quoted = prefix.replace(" ", "%20")
    links = set(re.findall('href="([^"]*)"', page))
    assert links == {
        f"{quoted}/{name}" for name in ("reference", "openapi.json", "readyz", "reference/favicon-32x32.png")
    }
    for link in links - {f"{quoted}/readyz"}:
        assert Client(APP).get(link.removeprefix(quoted)).status_code == 200
    assert f"http://localhost{quoted}/documents?limit=10" in page


def test_the_page_names_the_same_version_and_address_as_the_json() -> None:
    page, content = get(BROWSER).text, get().get_json()
    assert content["version"] in page
    assert content["links"]["documents"] in page


def test_a_hostile_host_changes_neither_the_page_nor_the_command() -> None:
    page = get(BROWSER, HTTP_HOST="a'&$(reboot);b").text
    assert "a'&$" not in page
    command = unescape(page.partition("<pre><code>")[2].partition("</code>")[0])
    assert shlex.split(command) == ["curl", "-H", "X-API-Key: $KEY", "http://a'&$(reboot);b/documents?limit=10"]


def test_the_page_may_do_nothing_but_apply_its_own_style() -> None:
    answer = get(BROWSER)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src 'self'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "<script" not in answer.text
    assert "//" not in answer.text.replace("http://localhost/", "")
