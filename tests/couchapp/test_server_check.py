"""Check that a URL which does not lead to CouchDB gets one message that says why, and never shows credentials."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from couchapp import server_check
from couchapp.cli import main
from couchapp.server_check import NotCouchDB, check_server, has_fauxton
from tests.couch.misbehaving_server import Behaviour, MisbehavingServer, answer, hang, reply, reset, send

HTML = b"<!DOCTYPE html><title>Welcome to nginx!</title>"
# Nothing listens on this port of the loopback interface.
CLOSED = "http://127.0.0.1:1"


def reason(url: str) -> str:
    """Return the message for ``url`` with credentials in it."""
    scheme, _, rest = url.partition("://")
    with pytest.raises(NotCouchDB) as raised:
        check_server(f"{scheme}://admin:hunter2@{rest}", "COUCHDB_URL")
    message = str(raised.value)
    assert "hunter2" not in message
    assert "admin" not in message
    assert message.startswith("COUCHDB_URL: ")
    assert "\n" not in message
    return message


@pytest.mark.nodatabase
@pytest.mark.parametrize("welcome", [{"couchdb": "Welcome", "version": "3.5.0"}, {"express-pouchdb": "Welcome!"}])
def test_couchdb_and_pouchdb_are_recognised(welcome: object) -> None:
    with MisbehavingServer(answer(200, welcome)) as server:
        check_server(server.url, "COUCHDB_URL")
    assert [request.target for request in server.requests] == ["/"]


@pytest.mark.nodatabase
@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        (
            answer(401, {"error": "unauthorized", "reason": "Name or password is incorrect."}),
            "refuses user and password",
        ),
        (answer(403, {"error": "forbidden", "reason": "Account is temporarily locked"}), "locks an account for some"),
        (answer(403, {}), r"not CouchDB \(it answers 403\)"),
        (answer(501, {}), r"not CouchDB \(it answers 501\): correct host and port"),
        (send(reply(404, HTML)), r"not CouchDB \(it answers 404\): correct host and port"),
        (send(reply(200, HTML)), r"not CouchDB \(it answers no JSON\): correct host and port"),
        (answer(200, {"service": "another"}), r"not CouchDB \(its root is another JSON\): correct host and port"),
        (answer(200, []), "not CouchDB"),
        (answer(301, {}), "redirects elsewhere .301.: write the final URL"),
        (answer(400, {}), "write https://"),
        (answer(503, {}), r"no CouchDB behind it now \(503\)"),
        (send(b"\x15\x03\x01\x00\x02\x02\x46", keep=False), "write https:// if this port expects TLS"),
        (reset, "write https:// if this port expects TLS"),
    ],
)
def test_a_server_that_is_not_couchdb(behaviour: Behaviour, message: str) -> None:
    with MisbehavingServer(behaviour) as server:
        assert re.search(message, reason(server.url))


@pytest.mark.nodatabase
@pytest.mark.parametrize(
    ("behaviour", "outcome"), [(send(reply(200, HTML)), True), (answer(404, {}), False), (reset, False)]
)
def test_an_installation_without_fauxton_is_recognised(behaviour: Behaviour, outcome: bool) -> None:
    with MisbehavingServer(behaviour) as server:
        assert has_fauxton(server.url) is outcome
    assert server.requests[0].target == "/_utils/"


@pytest.mark.nodatabase
def test_a_path_is_named_as_the_probable_mistake() -> None:
    with MisbehavingServer(answer(404, {"error": "not_found", "reason": "missing"})) as server:
        assert "no CouchDB at the path in the URL" in reason(f"{server.url}/dreamscript")


@pytest.mark.nodatabase
def test_an_unreachable_server_is_named_with_its_port() -> None:
    assert "no connection to 127.0.0.1:1: Connection refused. Start CouchDB there, or correct" in reason(CLOSED)


@pytest.mark.nodatabase
def test_a_plain_server_behind_https_is_explained() -> None:
    def refuse(listener: socket.socket) -> None:
        with listener.accept()[0] as accepted:
            accepted.sendall(reply(400))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=refuse, args=[listener])
        thread.start()
        assert "does not speak TLS: write http://" in reason(f"https://127.0.0.1:{port}")
        thread.join()


@pytest.mark.nodatabase
def test_an_untrusted_certificate_is_explained() -> None:
    with MisbehavingServer(answer(200), tls=True) as server:
        assert "is not trusted; SSL_CERT_FILE" in reason(server.url)


@pytest.mark.nodatabase
def test_a_server_that_never_answers_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_check, "TIMEOUT_SECONDS", 0.1)
    with MisbehavingServer(hang) as server:
        assert "does not answer within" in reason(server.url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert "If it does not speak TLS on this port" in reason(f"https://127.0.0.1:{listener.getsockname()[1]}")


@pytest.mark.nodatabase
@pytest.mark.parametrize("verb", ["diff", "deploy", "status"])
def test_a_web_site_is_no_empty_couchdb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    not_found = answer(404, {"error": "not_found", "reason": "no_db_file"})
    with MisbehavingServer(not_found) as server:
        assert main([verb], {"COUCHDB_URL": server.url}) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert (
        output.err
        == f"{verb}: COUCHDB_URL: the server is not CouchDB (it answers 404): correct host and port in the URL\n"
    )


def test_a_wrong_password_is_explained(server_url: str) -> None:
    scheme, _, rest = server_url.partition("://")
    host = rest.rpartition("@")[2]
    assert "refuses user and password in the URL" in reason(f"{scheme}://{host}")
