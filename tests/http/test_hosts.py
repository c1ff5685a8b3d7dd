"""Any legal host is accepted, and URLs name it in ASCII."""

from __future__ import annotations

import pytest
from werkzeug.test import EnvironBuilder

from app.http.request_scope import Request

pytestmark = pytest.mark.nodatabase


def request(host: str | None, scheme: str = "http") -> Request:
    """Return a request for ``/documents`` below ``/api``."""
    environ = EnvironBuilder("/documents", base_url=f"{scheme}://server:8000/api").get_environ()
    environ.pop("HTTP_HOST")
    return Request(environ if host is None else {**environ, "HTTP_HOST": host})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(
            (host, host)
            for host in (
                "app_server",
                "a.b-c~d",
                "x:8000",
                "x:0008000",
                "xn--bcher-kva.example:8443",
                "[::1]:8000",
                "[::ffff:1.2.3.4]",
                "[v1.a:b]",
            )
        ),
        *(("x:80", "x"), ("x:", "x"), ("x:443", "x:443"), (None, "server:8000")),
    ],
)
def test_a_legal_host_is_in_the_urls(host: str | None, expected: str) -> None:
    assert request(host).host == expected
    assert request(host).base_url == f"http://{expected}/api/documents"
    assert request(host).url_root == f"http://{expected}/api/"


def test_the_default_port_of_https_is_left_out() -> None:
    assert request("x:443", "https").root_url == "https://x/api/"


@pytest.mark.parametrize(
    "host", ["", "a b", "a/b", "b\xfccher", "user@x", "x:port", "[::1", "x%2", "x\n", "[v1]", "1:2:3"]
)
def test_an_illegal_host_is_empty(host: str) -> None:
    assert request(host).host == ""
