"""How much of a body is read is decided from the headers."""

from __future__ import annotations

import pytest
from werkzeug.test import EnvironBuilder

from app import create_app
from app.http.precheck import UNUSED_BODY_BYTES, Precheck
from tests.offline_settings import OFFLINE_SETTINGS

pytestmark = pytest.mark.nodatabase


def body_limit(method: str, path: str, body: bytes = b"{}") -> int:
    """Return the limit of a JSON body without a key."""
    application = create_app(OFFLINE_SETTINGS)
    environ = EnvironBuilder(path, method=method, data=body, content_type="application/json").get_environ()
    return Precheck(application.flask, application.services).body_limit(environ)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/documents"), ("POST", "/nope"), ("PUT", "/documents"), ("POST", "//documents"), ("OPTIONS", "//livez")],
)
def test_a_body_that_cannot_change_the_response_is_not_read(method: str, path: str) -> None:
    assert body_limit(method, path) == 0


@pytest.mark.parametrize("path", ["/documents", "/documents/1", "/livez"])
def test_options_needs_no_key(path: str) -> None:
    assert body_limit("OPTIONS", path) == UNUSED_BODY_BYTES


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_large_body_that_is_not_used_is_not_read(method: str) -> None:
    assert body_limit(method, "/livez", bytes(UNUSED_BODY_BYTES)) == UNUSED_BODY_BYTES
    assert body_limit(method, "/livez", bytes(UNUSED_BODY_BYTES + 1)) == 0
