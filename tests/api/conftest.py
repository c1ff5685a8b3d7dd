"""An installation with fresh databases for each module, and clients that hold keys to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from werkzeug.test import Client, TestResponse

from app import Application, create_app
from app.couch.connection import Connection
from app.domain.access import SCOPES
from app.domain.keys import usage
from app.domain.listing import pages
from app.domain.resources import PROJECT, timestamp
from app.limits.policies import MEMORY
from app.services import Services
from app.settings import Settings
from app.store import Database
from app.wiring import build_services
from tests.api import cache_comparison
from tests.deploying import deploy_new
from tests.waiting import MAX_WAIT_SECONDS

# Says of a project that it is being deleted, or that it is not.
Mark = Callable[[int, bool], None]


def of_items(write_many: Callable[[Database, list[dict[str, Any]]], Any]) -> Callable[..., Any]:
    """Return a substitute of Database.write_many for items, which passes claims of ids through."""
    original = Database.write_many

    def chosen(database: Database, documents: list[dict[str, Any]]) -> Any:
        is_of_items = any(document["type"] != "claim" for document in documents)
        return (write_many if is_of_items else original)(database, documents)

    return chosen


class Answer(TestResponse):
    """A response whose JSON has the type that the test expects."""

    json: Any


@dataclass(frozen=True)
class Caller:
    """Someone with a key, or without one. Requests go through the whole WSGI application.

    Every GET that the cache can answer is compared with Flask's answer, unless requests are counted.
    """

    app: Application
    key: str | None

    def request(self, method: str, path: str, *, headers: dict[str, str] | None = None, **kwargs: Any) -> Answer:
        """Send one request; ``headers`` come on top of the key."""
        own = {"X-API-Key": self.key} if self.key else {}
        client, sent = Client(self.app, Answer), {**own, **(headers or {})}
        answer = cast(Answer, client.open(path, method=method, headers=sent, **kwargs))
        if method == "GET" and not kwargs and self.app.services.limiter is None:
            cache_comparison.compare(self.app, path, sent)
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        """Send a GET; ``if_none_match="x"`` is the header If-None-Match."""
        return self.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, value: object) -> Answer:
        """Send a POST of ``value`` as JSON."""
        return self.request("POST", path, json=value)

    def new_document(self, title: str = "Untitled", **fields: object) -> dict[str, Any]:
        """Create a document and return it."""
        return self._created(self.post("/documents", {"title": title, **fields}))

    def new_project(self, name: str = "Unnamed", **fields: object) -> dict[str, Any]:
        """Create a project and return it."""
        return self._created(self.post("/projects", {"name": name, **fields}))

    def walk(self, path: str) -> list[list[dict[str, Any]]]:
        """Follow x-next from ``path`` and return every page's items."""
        pages, url = [], path
        while url:
            response = self.get(url)
            assert response.status_code == 200, response.text
            pages.append(response.json)
            url = response.headers.get("x-next", "")
        return pages

    @staticmethod
    def _created(response: Answer) -> dict[str, Any]:
        assert response.status_code == 201, response.text
        created: dict[str, Any] = response.json
        return created


def deployed_settings(server_url: str, prefix: str, **changes: Any) -> Settings:
    """Deploy the tree under ``prefix`` and return settings that serve it."""
    deploy_new(server_url, prefix)
    values: dict[str, Any] = {
        "couchdb_url": server_url,
        "prefix": prefix,
        "secrets": ("a secret for tests",),
        "host": "127.0.0.1",
        "port": 0,
        "workers": 1,
        "page_size": 50,
        "max_page_size": 1000,
        "max_body_bytes": 2**20,
        "cache_bytes": 2**26,
        "out_of_scope": "forbid",
        "region": 0,
        "regions": 1,
        "deadline": 30.0,
        "keep_alive": 75,
        "log": "json",
        "trusted_proxies": 0,
        "rate_limit": (),
        "rate_limit_storage": MEMORY,
    }
    return Settings(**values | changes)


@pytest.fixture(autouse=True, scope="module")
def _last_uses_are_written_on_demand() -> Iterator[None]:
    """Let no thread write the last uses of keys while a test counts requests or compares answers."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(usage, "PERIOD_SECONDS", 24 * 3600.0)
        patched.setattr(usage, "FLUSH_SECONDS", MAX_WAIT_SECONDS)
        yield


@pytest.fixture(scope="module")
def settings(server_url: str, module_prefix: str) -> Settings:
    """The settings of this module's installation."""
    return deployed_settings(server_url, module_prefix)


@pytest.fixture(scope="module")
def services(settings: Settings) -> Iterator[Services]:
    """The command line's way into this module's installation."""
    services = build_services(settings)
    yield services
    services.close()


@pytest.fixture(scope="module")
def make_app(settings: Settings) -> Iterator[Callable[..., Application]]:
    """Make applications of this module's installation, with some settings changed."""
    made: list[Application] = []

    def make(**changes: Any) -> Application:
        made.append(create_app(replace(settings, **changes)))
        return made[-1]

    yield make
    for app in made:
        app.close()


@pytest.fixture(scope="module")
def app(make_app: Callable[..., Application]) -> Application:
    """This module's application."""
    return make_app()


@pytest.fixture(scope="module")
def caller(app: Application, services: Services) -> Callable[..., Caller]:
    """Make callers with keys of the given scopes, or of every scope."""

    def make(*scopes: str) -> Caller:
        _, text = services.keys.create("test", scopes or SCOPES)
        return Caller(app, text)

    return make


@pytest.fixture(scope="module")
def ada(caller: Callable[..., Caller]) -> Caller:
    """Someone who may do everything."""
    return caller()


@pytest.fixture(scope="module")
def nobody(app: Application) -> Caller:
    """Someone without a key."""
    return Caller(app, None)


@pytest.fixture(scope="module")
def views_are_awaited() -> Iterator[None]:
    """Let listings by id wait for their views. Otherwise they read the primary index after a quarter of a second."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pages, "VIEW_SECONDS", MAX_WAIT_SECONDS)
        yield


@pytest.fixture
def indexed(settings: Settings) -> Iterator[None]:
    """Afterwards the views hold all that a test has stored, however long the database takes for that."""
    yield
    connection = Connection(settings.couchdb_url, timeout=100)
    for view in ("by_id", "by_project"):
        connection.get(f"{settings.prefix}-documents", "_design", "listing", "_view", view, params={"limit": 1})
    connection.close()


@pytest.fixture
def mark(services: Services) -> Mark:
    """Say of a project that it is being deleted, or that it is not."""

    def said(project_id: int, deleting: bool) -> None:
        projects = services.store["projects"]
        stored = projects.get(PROJECT.doc_id(project_id))
        assert stored is not None
        stored.pop("deleting_at", None)
        projects.replace({**stored, **({"deleting_at": timestamp()} if deleting else {})})

    return said
