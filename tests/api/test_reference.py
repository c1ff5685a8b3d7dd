"""The reference page in a real browser, and its files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from app import Application
from app.api.reference import ASSETS
from tests.api.browser import CHROMIUM, Browser
from tests.api.conftest import Caller
from tests.api.serving import serving

FILES = ["/reference", "/openapi.json", *(f"/reference/{name}" for name in ASSETS)]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="the page needs a browser, and there is no Chromium here")


@pytest.fixture(scope="module")
def url(app: Application) -> Iterator[str]:
    """The URL of this module's application, served over HTTP below a prefix."""
    with serving(DispatcherMiddleware(NotFound(), {"/below/api": app})) as origin:
        yield f"{origin}/below/api"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser with one tab, in the size of a phone."""
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        browser.call("Emulation.setDeviceMetricsOverride", width=360, height=780, deviceScaleFactor=1, mobile=True)
        yield browser


@pytest.fixture
def page(browser: Browser, url: str) -> Browser:
    """The browser, with the page just loaded."""
    load(browser, url)
    return browser


def load(browser: Browser, url: str) -> None:
    """Load the page, with all operations closed."""
    browser.call("Page.navigate", url="about:blank")
    browser.call("Page.navigate", url=f"{url}/reference")
    browser.wait_for("document.querySelectorAll('.opblock').length")


def authorize(page: Browser, key: str) -> None:
    """Enter the key as a user does."""
    page.click(".btn.authorize")
    page.click(".auth-container input")
    page.type(key)
    page.click(".auth-btn-wrapper .authorize")
    page.click(".auth-btn-wrapper .btn-done")


def execute(page: Browser, operation: str, **values: str) -> tuple[int, str]:
    """Open an operation, fill in its parameters, send the request, and return the status and the text of the answer."""
    block = f"#operations-documents-{operation}"
    page.click(f"{block} .opblock-summary-control")
    # A parameter that the document only refers to shows that Swagger UI has read the operation to its end.
    page.wait_for(f"!!document.querySelector('{block} [data-param-name=X-Request-ID]')")
    for name, value in values.items():
        page.click(f"{block} [data-param-name={name}] input")
        page.type(value)
    page.click(f"{block} .execute")
    answer = f"{block} .live-responses-table tbody"
    status = page.wait_for(f"document.querySelector('{answer} .response-col_status')?.innerText")
    return int(status.split()[0]), page.evaluate(f"document.querySelector('{answer}').innerText")


@needs_chromium
def test_it_lists_every_operation(page: Browser, nobody: Caller) -> None:
    paths = nobody.get("/openapi.json").json["paths"]
    operations = [f"{method.upper()} {path}" for path, item in paths.items() for method in set(item) - {"parameters"}]
    page.wait_for(f"document.querySelectorAll('.opblock').length === {len(operations)}")
    listed = page.evaluate(
        "[...document.querySelectorAll('.opblock')].map(block => ['method', 'path'].map(part =>"
        " block.querySelector(`.opblock-summary-${part}`).innerText.replaceAll('\\u200b', '')).join(' '))"
    )
    assert sorted(listed) == sorted(operation.removeprefix("X-") for operation in operations)
    assert "COPY /documents/{document_id}" in listed


@needs_chromium
def test_it_begins_with_the_operations_and_fits_a_phone(page: Browser) -> None:
    assert page.evaluate("document.querySelector('.opblock').getBoundingClientRect().top") < 400
    assert page.evaluate("document.querySelector('.info details').open") is False
    page.click("#operations-documents-list_documents .opblock-summary-control")
    page.wait_for("!!document.querySelector('#operations-documents-list_documents .headers')")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@needs_chromium
def test_it_sends_requests_with_a_key_that_the_tab_keeps(page: Browser, url: str, ada: Caller) -> None:
    assert ada.key is not None
    original = ada.new_document("Seen in a browser")
    assert execute(page, "list_documents")[0] == 401
    authorize(page, ada.key)
    load(page, url)
    status, text = execute(page, "list_documents")
    assert (status, "Seen in a browser" in text) == (200, True)
    status, _ = execute(page, "copy_document_by_method", document_id=str(original["id"]))
    assert (status, ada.get("/documents").json[-1]["title"]) == (201, original["title"])
    stored = page.evaluate("[JSON.stringify(localStorage), document.cookie, location.href]")
    assert stored[:2] == ["{}", ""]
    assert ada.key not in stored[2]
    assert ada.key in page.evaluate("JSON.stringify(sessionStorage)")


@needs_chromium
def test_a_key_can_be_forgotten(page: Browser) -> None:
    page.evaluate("window.ui.preauthorizeApiKey('ApiKey', 'a key')")
    page.click(".btn.authorize")
    page.wait_for("document.querySelector('.auth-btn-wrapper button')?.innerText === 'Logout'")
    page.click(".auth-btn-wrapper button")
    assert page.evaluate("sessionStorage.getItem('dreamscript-keys')") == "{}"


@needs_chromium
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_it_follows_the_theme_of_the_system(page: Browser, theme: str) -> None:
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    is_dark = "document.documentElement.classList.contains('dark-mode')"
    page.wait_for(f"{is_dark} === {str(theme == 'dark').lower()}")


@needs_chromium
def test_the_page_at_the_root_fits_a_phone_and_leads_to_the_reference(browser: Browser, url: str) -> None:
    browser.call("Page.navigate", url=f"{url}/")
    browser.wait_for("document.querySelector('h1')?.innerText.startsWith('Dreamscript Database')")
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    assert browser.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") == "672px"
    browser.click("nav a")
    browser.wait_for("document.querySelectorAll('.opblock').length")


@needs_chromium
def test_it_contacts_no_other_host_and_logs_no_error(page: Browser, url: str) -> None:
    """The last test of the page, so that it covers all requests of the others."""
    pages = [place for place in page.requested() if not place.startswith(("data:", "about:"))]
    assert pages
    assert [place for place in pages if not place.startswith(f"{url}/")] == []
    assert [complaint for complaint in page.complaints() if not is_expected(complaint)] == []


def is_expected(complaint: object) -> bool:
    """Return whether the complaint is about the 401 of a test, or about the `_` in the name of an operation."""
    return "401" in str(complaint) or "escaping deep link whitespace" in str(complaint)


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
