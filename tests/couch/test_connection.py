"""Check the requests of a connection, and how it handles answers from CouchDB and from anything else."""

from __future__ import annotations

import base64
import json
import traceback

import pytest

from app.couch.connection import AnswerLost, Connection, CouchResponse, DatabaseError, Refused
from tests.couch.misbehaving_server import Behaviour, MisbehavingServer, answer, echo, reply, reset, send, speaking

pytestmark = pytest.mark.nodatabase

JSON = "Content-Type: application/json"
LONG_ERROR = json.dumps({"error": "boom", "reason": "x" * 20_000}).encode()


def test_a_response_has_its_status_and_decoded_body() -> None:
    with speaking(send(reply(201, b'{"ok": true}', JSON))) as (connection, _):
        response = connection.put("db", "x", body={})
    assert response == CouchResponse(201, {"ok": True})


@pytest.mark.parametrize(
    ("path", "params", "target"),
    [
        ((), {}, "/"),
        (("db", "a/b ü?"), {}, "/db/a%2Fb%20%C3%BC%3F"),
        (("db", "_design", "x", "_view", "y"), {}, "/db/_design/x/_view/y"),
        (("db",), {"startkey": "a", "endkey": ["b", None]}, '/db?startkey="a"&endkey=["b", null]'),
        (("db",), {"start_key": "a", "end_key": "b", "key": "c"}, '/db?start_key="a"&end_key="b"&key="c"'),
        (("db",), {"startkey": None, "limit": 3, "descending": True}, "/db?startkey=null&limit=3&descending=true"),
        (("db",), {"rev": "1-a", "startkey_docid": "x"}, "/db?rev=1-a&startkey_docid=x"),
    ],
)
def test_paths_and_parameters_are_encoded(path: tuple[str, ...], params: dict[str, object], target: str) -> None:
    plain = target.replace('"', "%22").replace("[", "%5B").replace("]", "%5D").replace(",", "%2C").replace(" ", "+")
    with speaking(answer(200)) as (connection, server):
        connection.get(*path, params=params)
    assert server.requests[0].target == plain


def test_a_request_names_its_media_types() -> None:
    with speaking(answer(200)) as (connection, server):
        connection.post("db", body={"a": "ü"}, headers={"X-Couch-Request-ID": "abc"})
        connection.get("db")
    posted, got = server.requests
    assert posted.headers["accept"] == got.headers["accept"] == "application/json"
    assert posted.headers["content-type"] == "application/json"
    assert posted.headers["x-couch-request-id"] == "abc"
    assert json.loads(posted.body) == {"a": "ü"}
    assert "content-type" not in got.headers
    assert "authorization" not in got.headers


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "reason"),
    [
        (409, b'{"error": "conflict", "reason": "Document update\\nconflict."}', [JSON], "conflict", "Document update"),
        (500, LONG_ERROR, [JSON], "boom", "xxx"),
        (500, LONG_ERROR, [], "boom", "xxx"),
        (502, b"<html>" + b"x" * 20_000, ["Content-Type: text/html"], "status_502", "the answer was not"),
        (503, b"", [], "status_503", "the answer was not"),
        (500, b'{"error": ', [JSON], "status_500", "the answer was not"),
        (500, b"[1]", [JSON], "status_500", "the answer was not"),
        (500, b'{"error": "\xe9"}', [JSON + "; charset=latin-1"], "status_500", "the answer was not"),
        (500, b"[" * 200_000, [JSON], "status_500", "the answer was not"),
        (500, b'{"error": {"a": 1}, "reason": null}', [JSON], "status_500", "no reason given"),
        (304, b"", [], "status_304", "the answer was not"),
    ],
)
def test_every_error_body_is_a_refusal(status: int, body: bytes, headers: list[str], error: str, reason: str) -> None:
    with speaking(send(reply(status, b"" if status == 304 else body, *headers)), echo) as (connection, server):
        with pytest.raises(Refused) as caught:
            connection.put("db", "x", body={})
        assert connection.get("after").body == {"target": "/after"}
    refusal = caught.value
    assert (refusal.status, refusal.error) == (status, error)
    assert refusal.reason.startswith(reason)
    assert len(str(refusal)) < 600
    assert "\n" not in str(refusal)
    assert [request.connection for request in server.requests] == [0, 0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    redirect = send(reply(status, b"", "Location: /elsewhere"))
    with speaking(redirect, answer(200)) as (connection, server), pytest.raises(Refused):
        connection.get("db")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "data",
    [
        reply(200, b'{"rows": []}', JSON)[:-3],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnumber\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[1, ",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        reply(200, b""),
        reply(200, b"<html>", "Content-Type: text/html"),
        reply(200, b'"\xe9"', JSON),
        reply(200, b"[" * 200_000, JSON),
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(200, b"{}"),
        b"",
    ],
)
def test_an_answer_without_complete_json_is_lost(data: bytes) -> None:
    with speaking(send(data, keep=False)) as (connection, server), pytest.raises(AnswerLost):
        connection.put("db", "x", body={})
    assert len(server.requests) == 1


def test_ipv6() -> None:
    try:
        server = MisbehavingServer(echo, host="::1")
    except OSError as failure:
        pytest.skip(f"no IPv6 here: {failure}")
    with server:
        connection = Connection(server.url, timeout=30)
        assert connection.get("db").body == {"target": "/db"}
        connection.close()
    assert server.requests[0].headers["host"] == server.host


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with MisbehavingServer(reset) as proxy, speaking(echo) as (connection, _):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert connection.get("db").body == {"target": "/db"}
    assert proxy.requests == []


SECRETS = ("us@er", "p:ss/wörd", "us%40er", "p%3Ass", "w%C3%B6rd")


def failures() -> list[Behaviour]:
    """Return failures of a server for requests with credentials."""
    return [reset, send(reply(401, b'{"error": "unauthorized"}')), send(reply(200, b"<html>")), send(b"", keep=False)]


@pytest.mark.parametrize("behaviour", failures())
def test_credentials_are_sent_and_never_shown(behaviour: Behaviour) -> None:
    with MisbehavingServer(behaviour) as server:
        connection = Connection(f"http://us%40er:p%3Ass%2Fw%C3%B6rd@{server.host}/", timeout=30)
        with pytest.raises(DatabaseError) as caught:
            connection.put("db", "x", body={})
        connection.close()
    assert server.requests[0].headers["authorization"] == basic("us@er:p:ss/wörd")
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(connection) + connection.url
    assert connection.url == server.url
    for secret in (*SECRETS, basic("us@er:p:ss/wörd").removeprefix("Basic ")):
        assert secret not in text


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://user:a:b@{}", "user:a:b"),
        ("http://user:a@b@{}", "user:a@b"),
        ("http://user@{}", "user:"),
        ("http://user:@{}", "user:"),
    ],
)
def test_credentials_are_decoded(url: str, sent: str) -> None:
    with MisbehavingServer(answer(200)) as server:
        connection = Connection(url.format(server.host), timeout=30)
        connection.get()
        connection.close()
    assert server.requests[0].headers["authorization"] == basic(sent)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret",
        "http://user:secret/more@host",
        "http://user:12#secret@host",
        "http://user:12?secret@host",
        "http://user:secret@host:port",
        "http://user:secret@ho℀st",
        "http://user:secret@[::1",
        "http://user:secret@",
        "ftp://user:secret@host",
        "secret",
    ],
)
def test_an_invalid_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL of a server") as caught:
        Connection(url)
    assert "secret" not in str(caught.value)


def basic(credentials: str) -> str:
    """Return the header of RFC 7617."""
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"
