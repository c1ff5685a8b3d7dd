"""TLS by deploy/nginx-tls.conf, with the real nginx."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.deploy.files import DEPLOY
from tests.ports import free_port
from tests.server.nginx import NGINX, frame, is_listening, site
from tests.waiting import MAX_WAIT_SECONDS, wait_until

pytestmark = [pytest.mark.nodatabase, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]

CERTIFICATE = DEPLOY.parent / "tests" / "couch" / "misbehaving_server.pem"


class Echo(BaseHTTPRequestHandler):
    """Stands for the service: answers with the scheme that the proxy names."""

    def do_GET(self) -> None:
        """Answer."""
        body = self.headers.get("X-Forwarded-Proto", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    """The address of a service."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def ports(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """The ports of a running nginx, without and with TLS."""
    assert NGINX is not None
    folder, plain, tls = tmp_path_factory.mktemp("nginx"), free_port(), free_port()
    # nginx's worker is not root where the tests are.
    text = (DEPLOY / "nginx-tls.conf").read_text().replace("listen [::]:443 ssl;", "")
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl;"),
        ("/etc/dreamscript/tls/fullchain.pem", str(CERTIFICATE)),
        ("/etc/dreamscript/tls/privkey.pem", str(CERTIFICATE)),
        ("/var/www/acme", str(folder / "acme")),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "tls.conf").write_text(text)
    include = "include /etc/nginx/dreamscript/*.conf;"
    whole = site(upstream, plain)
    assert whole.count(include) == 1
    (folder / "site.conf").write_text(whole.replace(include, f"include {folder}/tls.conf;"))
    (folder / "nginx.conf").write_text(frame(folder))
    challenge = folder / "acme" / ".well-known" / "acme-challenge"
    challenge.mkdir(parents=True)
    (challenge / "token").write_text("proof")
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([NGINX, "-p", str(folder), "-c", "nginx.conf"], stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or is_listening(tls), "nginx listens")
        assert process.poll() is None, (folder / "output").read_text()
        yield plain, tls
    finally:
        process.terminate()
        process.wait(MAX_WAIT_SECONDS)
        shutil.rmtree(folder)


def get(connection: HTTPConnection, path: str) -> tuple[HTTPResponse, str]:
    """Send a GET for the host that clients know; return the response and its body."""
    connection.request("GET", path, headers={"Host": "api.example"})
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body


def test_the_service_is_reached_through_tls(ports: tuple[int, int]) -> None:
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    response, body = get(
        HTTPSConnection("127.0.0.1", ports[1], timeout=MAX_WAIT_SECONDS, context=context), "/api/livez"
    )
    assert (response.status, body) == (200, "https")


def test_a_request_without_tls_is_sent_to_it(ports: tuple[int, int]) -> None:
    response, _ = get(HTTPConnection("127.0.0.1", ports[0], timeout=MAX_WAIT_SECONDS), "/api/documents?limit=2")
    assert response.status == 308
    assert response.headers["Location"] == "https://api.example/api/documents?limit=2"


def test_certbot_is_answered_without_tls(ports: tuple[int, int]) -> None:
    connection = HTTPConnection("127.0.0.1", ports[0], timeout=MAX_WAIT_SECONDS)
    response, body = get(connection, "/.well-known/acme-challenge/token")
    assert (response.status, body) == (200, "proof")
