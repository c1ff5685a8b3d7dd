"""The reference page in a real browser, and its files."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from app import Application
from app.api.reference import ASSETS
from tests.api.browser import CHROMIUM, Browser
from tests.api.conftest import Caller
from tests.api.serving import serving

FILES = ["/reference", "/openapi.json", *(f"/reference/{name}" for name in ASSETS)]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="the page needs a browser, and there is no Chromium here")


@pytest.fixture(scope="module")
def url(app: Application) -> Iterator[str]:
    """The URL of this module's application, served over HTTP."""
    with serving(app) as url:
        yield url


@pytest.fixture(scope="module")
def browser(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that shows the page."""
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        browser.call("Page.navigate", url=f"{url}/reference")
        browser.wait_for("document.querySelectorAll('.opblock').length")
        yield browser


@needs_chromium
def test_it_lists_every_operation(browser: Browser, nobody: Caller) -> None:
    listed = browser.evaluate(
        "[...document.querySelectorAll('.opblock')].map(found => ['method', 'path'].map(part =>"
        " found.querySelector(`.opblock-summary-${part}`).innerText.replaceAll('\\u200b', '')).join(' '))"
    )
    paths = nobody.get("/openapi.json").json["paths"]
    operations = [f"{method.upper()} {path}" for path, item in paths.items() for method in set(item) - {"parameters"}]
    # Methods that OpenAPI does not know are not shown.
    assert sorted(listed) == sorted(operation for operation in operations if not operation.startswith("X-"))


@needs_chromium
def test_it_sends_a_request_with_a_key(browser: Browser, ada: Caller) -> None:
    assert ada.key is not None
    ada.new_document("Seen in a browser")
    browser.click(".btn.authorize")
    browser.click(".auth-container input")
    browser.type(ada.key)
    browser.click(".auth-btn-wrapper .authorize")
    browser.click(".auth-btn-wrapper .btn-done")
    block = "#operations-documents-list_documents"
    browser.click(f"{block} .opblock-summary-control")
    # A parameter that the document only refers to shows that Swagger UI has read the operation to its end.
    browser.wait_for(f"!!document.querySelector('{block} [data-param-name=X-Request-ID]')")
    browser.click(f"{block} .execute")
    answer = f"{block} .live-responses-table tbody"
    status = browser.wait_for(f"document.querySelector('{answer} .response-col_status')?.innerText")
    assert status.split()[0] == "200"
    assert "Seen in a browser" in browser.evaluate(f"document.querySelector('{answer}').innerText")


@needs_chromium
def test_it_contacts_no_other_host_and_logs_no_error(browser: Browser, url: str) -> None:
    """The last test of the page, so that it covers all requests of the others."""
    places = {(parts.scheme, parts.netloc) for parts in map(urlsplit, browser.requested())}
    assert places - {("data", "")} == {("http", urlsplit(url).netloc)}
    assert browser.complaints() == []


@pytest.mark.parametrize("path", FILES)
def test_its_files_are_sent_once(nobody: Caller, path: str) -> None:
    original = nobody.get(path)
    assert (original.status_code, original.headers["Cache-Control"]) == (200, "no-cache")
    spared = nobody.get(path, if_none_match=original.headers["ETag"])
    assert (spared.status_code, spared.data) == (304, b"")
    assert spared.headers["ETag"] == original.headers["ETag"]
    head = nobody.request("HEAD", path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(original.data))


@pytest.mark.parametrize("path", FILES)
def test_its_files_keep_the_common_promises(nobody: Caller, path: str) -> None:
    assert nobody.get(path, accept="application/x-other").json["error"] == "not_acceptable"
    assert nobody.get(f"{path}?v=2").json["error"] == "validation_failed"
    refused = nobody.post(path, {})
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_nothing_else_of_the_package_is_served(nobody: Caller) -> None:
    for name in ("oauth2-redirect.html", "index.html", "..%2freference.py", "swagger-ui.js.map"):
        assert nobody.get(f"/reference/{name}").status_code == 404


def test_the_page_names_only_files_of_its_own(nobody: Caller) -> None:
    for path in ("/reference", "/reference/start.js", "/reference/page.css"):
        assert "//" not in nobody.get(path).text.replace("// ", "")
    policy = nobody.get("/reference").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")


def test_the_root_is_laid_out_for_people_and_leads_to_the_page(nobody: Caller) -> None:
    answer = nobody.get("/", accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert answer.text.count("\n") > 5
    assert nobody.get(answer.json["links"]["reference"]).status_code == 200
