"""Links lead back through the proxies in front, or begin with the public URL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import Client

from app import create_app
from app.settings import Settings
from couchapp.settings import SettingError
from tests.offline_settings import OFFLINE_SETTINGS

pytestmark = pytest.mark.nodatabase

FORWARDED = {
    "X-Forwarded-Host": "api.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/api",
    "X-Forwarded-Port": "8443",
}


def client(**changes: Any) -> Client:
    """Return a client of a service whose database does not answer."""
    return Client(create_app(replace(OFFLINE_SETTINGS, **changes)))


def root(headers: dict[str, str], **changes: Any) -> str:
    """Return the URL of the service in the links at its root."""
    link: str = (client(**changes).get("/", headers=headers).json or {})["links"]["documents"]
    assert link.endswith("/documents")
    return link.removesuffix("/documents")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "https://api.example:8443/api"),
        ({"X-Forwarded-Port": "443"}, "https://api.example/api"),
        ({"X-Forwarded-Port": ""}, "https://api.example/api"),
        ({"X-Forwarded-Host": "api.example:9000", "X-Forwarded-Port": ""}, "https://api.example:9000/api"),
        ({"X-Forwarded-Host": "[::1]:9000"}, "https://[::1]:9000/api"),
        ({"X-Forwarded-Host": "api.example:9000"}, "https://api.example:9000/api"),
        ({"X-Forwarded-Host": "client.example:7000, api.example"}, "https://api.example:8443/api"),
        ({"X-Forwarded-Host": "client.example, api.example:9000"}, "https://api.example:9000/api"),
        ({"X-Forwarded-Host": "api.example:"}, "https://api.example:8443/api"),
        ({"X-Forwarded-Host": "[::1]"}, "https://[::1]:8443/api"),
        ({"X-Forwarded-Host": ""}, "https://localhost:8443/api"),
        ({"X-Forwarded-Proto": "HTTPS"}, "https://api.example:8443/api"),
        ({"X-Forwarded-Proto": "ftp"}, "http://api.example:8443/api"),
        ({"X-Forwarded-Prefix": ""}, "https://api.example:8443"),
        ({"X-Forwarded-Prefix": "/"}, "https://api.example:8443"),
        ({"X-Forwarded-Prefix": "api/v1/"}, "https://api.example:8443/api/v1"),
        ({"X-Forwarded-Prefix": "//evil.example"}, "https://api.example:8443/evil.example"),
        ({"X-Forwarded-Prefix": "/caf%C3%A9 x"}, "https://api.example:8443/caf%C3%A9%20x"),
        ({"X-Forwarded-Prefix": "/a:b@c;d=1+2"}, "https://api.example:8443/a:b@c;d=1+2"),
        ({"X-Forwarded-Prefix": "/a?b#c"}, "https://api.example:8443/a%3Fb%23c"),
        ({"X-Forwarded-Prefix": "/client, /api"}, "https://api.example:8443/api"),
        ({"X-Forwarded-Host": "client.example, api.example"}, "https://api.example:8443/api"),
        ({"X-Forwarded-Host": "app_server"}, "https://app_server:8443/api"),
        ({"X-Forwarded-Host": "xn--bcher-kva.example"}, "https://xn--bcher-kva.example:8443/api"),
    ],
)
def test_links_have_the_address_that_a_trusted_proxy_reports(changes: dict[str, str], expected: str) -> None:
    headers = {name: value for name, value in {**FORWARDED, **changes}.items() if value}
    assert root(headers, trusted_proxies=1) == expected


def test_of_several_values_each_trusted_proxy_has_one() -> None:
    headers = {name: f"client.example, {value}, inner" for name, value in FORWARDED.items()}
    assert root(headers, trusted_proxies=2) == "https://api.example:8443/api"
    assert root(FORWARDED, trusted_proxies=2) == "http://localhost"


def test_without_trusted_proxies_their_headers_are_ignored() -> None:
    assert root(FORWARDED) == "http://localhost"


@pytest.mark.parametrize("hops", [0, 1])
@pytest.mark.parametrize("headers", [{}, FORWARDED, {"Host": "other.example:99"}, {"Host": "not legal"}])
@pytest.mark.parametrize("url", ["https://api.example", "http://example:8080/a/b", "https://h/caf%C3%A9/~x:y@z+1"])
def test_links_begin_with_the_public_url(hops: int, headers: dict[str, str], url: str) -> None:
    assert root(headers, trusted_proxies=hops, public_url=url) == url
    document = client(public_url=url, trusted_proxies=hops).get("/openapi.json", headers=headers).json or {}
    assert [server["url"] for server in document["servers"]] == [url]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("https://api.example/", "https://api.example"),
        ("HTTPS://api.example:443/a/", "https://api.example/a"),
        ("http://[::1]:80", "http://[::1]"),
        ("http://app_server:8000//", "http://app_server:8000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_public_url_has_a_scheme_a_host_and_perhaps_a_path(text: str, expected: str) -> None:
    assert Settings.parse({"DREAMSCRIPT_PUBLIC_URL": text}).public_url == expected


@pytest.mark.parametrize(
    "text",
    [
        *("api.example", "/api", "ftp://api.example", "https://", "https:///api", "https://user@api.example"),
        *("https://api.example?x", "https://api.example/#x", "https://bücher.example", "https://a b", "https://a/%zz"),
        *("https://api.example:port", "https://api.example/a b", "https://[::1", "off"),
    ],
)
def test_any_other_public_url_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="DREAMSCRIPT_PUBLIC_URL must be"):
        Settings.parse({"DREAMSCRIPT_PUBLIC_URL": text})


@pytest.mark.parametrize(
    ("first", "second"),
    [("192.0.2.1:1000", "192.0.2.1:2000"), ("192.0.2.1", "192.0.2.1:1"), ("[2001:db8::1]:1000", "2001:db8::1")],
)
def test_the_client_behind_a_proxy_has_no_port(first: str, second: str) -> None:
    """Azure's and IIS's proxies report one, which must not give each connection failures of its own."""
    client = Client(create_app(replace(OFFLINE_SETTINGS, trusted_proxies=1)))
    answers = [client.get("/documents", headers={"X-Forwarded-For": address}) for address in (first, second)]
    assert [answer.headers["RateLimit"].split(";")[1] for answer in answers] == ["r=599", "r=598"]


def test_the_client_behind_a_proxy_is_not_the_proxy() -> None:
    """Failed authentications are counted by address."""
    app = create_app(replace(OFFLINE_SETTINGS, trusted_proxies=1))
    for address in ("192.0.2.1", "192.0.2.2"):
        answer = Client(app).get("/documents", headers={"X-Forwarded-For": f"10.0.0.1, {address}"})
        assert (answer.status_code, answer.headers["RateLimit"].split(";")[1]) == (401, "r=599")
