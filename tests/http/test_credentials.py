"""A key is read from X-API-Key or from a bearer token, and never from both."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from app import create_app
from app.errors import ValidationFailed
from app.http.credentials import key_text
from tests.offline_settings import OFFLINE_SETTINGS

pytestmark = pytest.mark.nodatabase


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("Bearer ds_key", "ds_key"),
        ("bearer ds_key", "ds_key"),
        ("BEARER   ds_key  ", "ds_key"),
        ("Bearer\tds_key", "ds_key"),
        ("Bearer ds_a,Bearer ds_b", "ds_a,Bearer ds_b"),
        *((text, None) for text in ("", "Bearer", "Bearer ", "Bearer:ds_key", "Bearerds_key", "ds_key", "Basic YTpi")),
        *((text, None) for text in ("Basic YTpi,Bearer ds_key", 'Digest username="Bearer ds_key"', "Token ds_key")),
    ],
)
def test_a_bearer_token_is_a_key(authorization: str, expected: str | None) -> None:
    assert key_text({"HTTP_AUTHORIZATION": authorization}) == expected


@pytest.mark.parametrize("authorization", ["Basic YTpi", "Bearer", "Bearer  ", "Negotiate YII="])
def test_other_schemes_leave_the_key_alone(authorization: str) -> None:
    assert key_text({"HTTP_AUTHORIZATION": authorization, "HTTP_X_API_KEY": "ds_key"}) == "ds_key"


def test_an_empty_key_does_not_hide_a_bearer_token() -> None:
    assert key_text({"HTTP_AUTHORIZATION": "Bearer ds_key", "HTTP_X_API_KEY": ""}) == "ds_key"


@pytest.mark.parametrize("token", ["ds_key", "ds_other"])
def test_two_keys_are_refused(token: str) -> None:
    with pytest.raises(ValidationFailed):
        key_text({"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_X_API_KEY": "ds_key"})
    client = Client(create_app(OFFLINE_SETTINGS))
    for method, path in (("GET", "/documents"), ("POST", "/documents"), ("GET", "/metrics"), ("COPY", "/documents/1")):
        answer = client.open(path, method=method, headers={"Authorization": f"Bearer {token}", "X-API-Key": "ds_key"})
        assert answer.status_code == 400
        assert "header.Authorization" in answer.text
