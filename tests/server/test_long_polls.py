"""Long-polls of a running service: answered by the first change that the key sees, or after their time."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from tests.server.clients import waiting_clients
from tests.server.live import Live, command, create_key
from tests.waiting import wait_until

# For a run by hand: HIDDEN_WRITES=1000.
HIDDEN_WRITES = int(os.environ.get("HIDDEN_WRITES", "30"))


class Answer(NamedTuple):
    """The response to a long-poll, and the time that it took."""

    status: int
    tag: str | None
    body: Any
    seconds: float


def poll(live: Live, key: str, query: str, **headers: str) -> Answer:
    """Send one request for changes."""
    started, connection = time.monotonic(), live.connect()
    sent = {"X-API-Key": key, **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request("GET", f"/changes?{query}", headers=sent)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    body = json.loads(content) if content else None
    return Answer(response.status, response.headers["ETag"], body, time.monotonic() - started)


@pytest.fixture(scope="module")
def overrides() -> dict[str, str]:
    """One worker, since each reports the changes of the feed to its own clients."""
    return {"DREAMSCRIPT_WORKERS": "1"}


@pytest.fixture(scope="module")
def editor(environ: dict[str, str]) -> str:
    """A key that may do everything with documents and projects."""
    scopes = ("documents:read", "documents:write", "projects:read", "projects:write")
    return str(create_key(environ, scopes)["key"])


def create(live: Live, key: str, path: str = "/documents", **members: object) -> int:
    status, item = live.request("POST", path, key, {"name" if path == "/projects" else "title": "x", **members})
    assert status == 201
    item_id: int = item["id"]
    return item_id


def started(
    live: Live, operator: str, pool: ThreadPoolExecutor, key: str, query: str, **headers: str
) -> Future[Answer]:
    """Start a long-poll when no other one waits, and return when it waits."""
    # An earlier one that was answered may still be counted for a moment.
    wait_until(lambda: waiting_clients(live, operator, kind="longpoll") == 0, "no client waits")
    answer = pool.submit(poll, live, key, f"feed=longpoll&{query}", **headers)
    wait_until(lambda: answer.done() or waiting_clients(live, operator, kind="longpoll") == 1, "a client waits")
    return answer


def test_a_long_poll_is_answered_by_the_first_change(live: Live, key: str, operator: str) -> None:
    since = poll(live, key, "since=now").body["next"]
    with ThreadPoolExecutor() as pool:
        answer = started(live, operator, pool, key, f"since={since}&include=value&timeout=60")
        document_id = create(live, key)
        result = answer.result()
    assert [each["id"] for each in result.body["changes"]] == [document_id]
    assert result.body["changes"][0]["value"] == {"id": document_id, "title": "x"}
    assert result.seconds < 60
    assert poll(live, key, f"since={result.body['next']}").body["changes"] == []


def test_a_long_poll_from_now_is_answered_by_the_first_change(live: Live, key: str, operator: str) -> None:
    with ThreadPoolExecutor() as pool:
        answer = started(live, operator, pool, key, "since=now&timeout=60")
        document_id = create(live, key)
        assert [each["id"] for each in answer.result().body["changes"]] == [document_id]


def test_changes_that_are_there_are_answered_at_once(live: Live, key: str) -> None:
    since = poll(live, key, "since=now").body["next"]
    document_id = create(live, key)
    answer = poll(live, key, f"since={since}&feed=longpoll&timeout=60")
    assert [each["id"] for each in answer.body["changes"]] == [document_id]


def test_a_long_poll_without_a_change_is_empty_after_its_time(live: Live, key: str) -> None:
    since = poll(live, key, "since=now").body["next"]
    answer = poll(live, key, f"since={since}&feed=longpoll&timeout=1")
    assert (answer.status, answer.body["changes"], answer.body["caught_up"]) == (200, [], True)
    assert answer.seconds >= 1
    again = poll(live, key, f"since={answer.body['next']}&feed=longpoll&timeout=1", If_None_Match=answer.tag or "")
    assert (again.status, again.body) == (304, None)
    assert again.seconds >= 1


def test_changes_that_a_client_has_do_not_end_its_wait(live: Live, key: str, operator: str) -> None:
    since = poll(live, key, "since=now").body["next"]
    first = create(live, key)
    tag = poll(live, key, f"since={since}").tag or ""
    with ThreadPoolExecutor() as pool:
        answer = started(live, operator, pool, key, f"since={since}&timeout=60", If_None_Match=tag)
        second = create(live, key)
        result = answer.result()
    assert (result.status, sorted(each["id"] for each in result.body["changes"])) == (200, [first, second])


def test_a_revoked_key_ends_a_long_poll(live: Live, environ: dict[str, str], operator: str) -> None:
    created = create_key(environ, ["documents:read"])
    with ThreadPoolExecutor() as pool:
        answer = started(live, operator, pool, created["key"], "since=now&timeout=60")
        command("keys", "revoke", str(created["id"]), environ=environ)
        assert answer.result().status == 401


def test_writes_to_hidden_documents_wake_no_limited_key(
    live: Live, environ: dict[str, str], editor: str, operator: str
) -> None:
    """Neither new documents, nor edits of one that has left the limits of the key, show anything."""
    home, away = (create(live, editor, "/projects") for _ in range(2))
    limited = create_key(environ, ["documents:read"], "--project", str(home))["key"]
    leaver = create(live, editor, project_id=home)
    since = poll(live, limited, "").body["next"]
    with ThreadPoolExecutor() as pool:
        # The feed may be behind. A removal that wakes a client has been reported, and is not reported again.
        leaving = started(live, operator, pool, limited, f"since={since}&timeout=60")
        live.request("PATCH", f"/documents/{leaver}", editor, {"project_id": away})
        assert [each["deleted"] for each in leaving.result().body["changes"]] == [True]
        waiting = started(live, operator, pool, limited, f"since={leaving.result().body['next']}&timeout=60")
        for number in range(HIDDEN_WRITES):
            create(live, editor, project_id=away)
            live.request("PATCH", f"/documents/{leaver}", editor, {"title": f"{number}"})
            if waiting.done():
                # Many writes take longer than one wait.
                assert (waiting.result().body["changes"], waiting.result().seconds >= 60) == ([], True)
                waiting = started(live, operator, pool, limited, f"since={waiting.result().body['next']}&timeout=60")
        document_id = create(live, editor, project_id=home)
        result = waiting.result()
    assert document_id in [each["id"] for each in result.body["changes"]]
    assert len(result.body["next"]) == len(since)
