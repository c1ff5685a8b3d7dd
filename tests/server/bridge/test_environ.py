"""The WSGI environment of a request."""

from __future__ import annotations

import pytest

from app.server.environ import MAX_CACHED_NAMES, cgi_name, wsgi_environ
from tests.server.bridge.asgi import scope

pytestmark = pytest.mark.nodatabase


def test_the_path_is_decoded_and_repeated_headers_are_joined() -> None:
    request = scope(path=b"/a%2Fb%C3%A9", query=b"x=%31", content_type="a/b", content_length="3", x_one="\xe9")
    request["headers"] += [(b"x-one", b"2"), (b"cookie", b"c")]
    environ = wsgi_environ(request)
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a/b\xc3\xa9", "x=%31")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"], environ["HTTP_X_ONE"]) == ("a/b", "3", "\xe9,2")
    assert "HTTP_HOST" not in environ
    origin = (environ["REMOTE_ADDR"], environ["SERVER_PORT"], environ["SERVER_PROTOCOL"])
    assert origin == ("127.0.0.2", "80", "HTTP/1.1")


def test_clients_cannot_fill_the_memory_with_names() -> None:
    for number in range(2 * MAX_CACHED_NAMES):
        cgi_name(b"x-%d" % number)
    assert cgi_name.cache_info().currsize == MAX_CACHED_NAMES
