"""Responses to pages of other origins, and to keys sent as bearer tokens, cached ones included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from app import Application
from tests.api import cache_comparison
from tests.api.conftest import Caller
from tests.waiting import wait_until

EDITOR = "https://editor.example"


def is_cached(caller: Caller, path: str, headers: dict[str, str]) -> bool:
    """Return whether the cache answers the request after another one, exactly as Flask does."""
    caller.get(path)
    return cache_comparison.compare(caller.app, path, headers)


@pytest.mark.parametrize(("origins", "expected"), [(("*",), "*"), ((EDITOR,), EDITOR)])
@pytest.mark.parametrize("condition", [{}, {"If-None-Match": "*"}])
def test_a_page_reads_cached_answers(
    make_app: Callable[..., Application],
    ada: Caller,
    origins: tuple[str, ...],
    expected: str,
    condition: dict[str, str],
) -> None:
    caller = Caller(make_app(cors_origins=origins), ada.key)
    paths = (f"/documents/{caller.new_document()['id']}", "/documents?limit=1")
    headers = {"X-API-Key": ada.key or "", "Origin": EDITOR}
    for path in paths:
        answer = caller.request("GET", path, headers={"Origin": EDITOR, **condition})
        assert answer.status_code == (304 if condition else 200)
        assert answer.headers["Access-Control-Allow-Origin"] == expected
        assert "x-next" in answer.headers["Access-Control-Expose-Headers"]
        wait_until(partial(is_cached, caller, path, {**headers, **condition}))


def test_a_bearer_token_is_a_key_for_flask_and_for_the_cache(app: Application, ada: Caller) -> None:
    path = f"/documents/{ada.new_document()['id']}"
    for headers in (
        {"Authorization": f"Bearer {ada.key}"},
        {"X-API-Key": ada.key or "", "Authorization": "Basic YTpi"},
    ):
        answer = Caller(app, None).request("GET", path, headers=headers)
        assert (answer.status_code, answer.headers["Vary"]) == (200, "X-API-Key, Authorization")
        wait_until(partial(is_cached, ada, path, headers))


def test_a_wrong_bearer_token_is_refused_like_a_wrong_key(nobody: Caller, ada: Caller) -> None:
    answers = [
        nobody.request("GET", "/documents", headers={name: value})
        for name, value in (("X-API-Key", "wrong"), ("Authorization", "Bearer wrong"), ("Authorization", "Basic YTpi"))
    ]
    bodies = [{**answer.json, "request_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert bodies[0] == bodies[1] == bodies[2]
    both = {"Authorization": f"Bearer {ada.key}"}
    assert ada.request("GET", "/documents", headers=both).json["errors"][0]["location"] == "header.Authorization"
