"""Requests made up from the served OpenAPI document, right and wrong ones: no answer is a 5xx or undocumented."""

from __future__ import annotations

import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    negative_data_rejection,
    positive_data_acceptance,
)

from app import Application, create_app
from app.domain.access import SCOPES
from app.domain.keys.keys import Keys
from app.http import idempotent
from app.wiring import Services
from tests.api.conftest import Caller
from tests.offline_settings import OFFLINE_SETTINGS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EXAMPLES = int(os.environ.get("DREAMSCRIPT_TEST_EXAMPLES", "25"))
# The same examples each time, so that what landed once lands again; other seeds look for more.
SEED = int(os.environ.get("DREAMSCRIPT_TEST_SEED", "1"))


class Served:
    """The application that tests are collected from, which needs no database, and then the one that is tested."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass a request on (PEP 3333)."""
        return self.app(environ, start_response)


class Keyring:
    """Makes keys: one that is alive, whatever requests do to keys, and others to be rotated and revoked."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.renew()

    def renew(self) -> None:
        """Take a new key of every scope to send requests with."""
        self.headers = {"X-API-Key": self._keys.create("sender", SCOPES)[1]}

    def spare(self) -> int:
        """Return the id of a new key."""
        return self._keys.create("spare", SCOPES)[0].id


class Spares:
    """Makes new things for those requests that would change or delete the first of their kind."""

    def __init__(self, ada: Caller, keyring: Keyring) -> None:
        self._makers: dict[str, Callable[[], int]] = {
            "key_id": keyring.spare,
            "document_id": lambda: ada.new_document()["id"],
            "project_id": lambda: ada.new_project()["id"],
        }

    def put_into(self, case: schemathesis.Case[Any]) -> None:
        """Let ``case`` speak of something that is there, and that nothing else is about."""
        for name, make in self._makers.items():
            if case.method == "GET" and str(case.path_parameters.get(name, 0)).endswith(("1", "3", "5", "7", "9")):
                # About half of the reads are of what is there.
                case.path_parameters[name] = 1
            if str(case.path_parameters.get(name)) == "1" and case.method != "GET":
                case.path_parameters[name] = make()
                # A made-up tag is never current.
                if "If-Match" in case.headers:
                    del case.headers["If-Match"]
        if idempotent.KEY.fullmatch(case.headers.get("Idempotency-Key", "")):
            # What is made up twice was not meant to be the same.
            case.headers["Idempotency-Key"] = secrets.token_hex(8)


def beyond_schemas(response: schemathesis.Response) -> bool:
    """Tell whether the refusal is of something that no schema says: of NUL in a text, or of what is stored, or when.

    To a schema 3.0 is an integer (JSON Schema 2020-12, section 4.2.3); as an id it is refused.
    """
    if response.status_code == 412:
        return True
    if response.status_code != 400:
        return False
    refusal = response.json()
    places = {fault["location"] for fault in refusal["errors"]}
    return (
        refusal["error"] == "invalid_cursor"
        or "NUL" in refusal["reason"]
        or "header.Idempotency-Key" in places
        or bool(places & {"body.project_id", "body.expires_at"})
        or "Not a valid integer." in {fault["reason"] for fault in refusal["errors"]}
    )


def refuses_within(response: schemathesis.Response) -> bool:
    """Tell whether the answer to a batch refuses an operation, though not the batch."""
    outcomes = response.json().get("outcomes", ()) if response.status_code == 200 else ()
    return any(outcome.get("error") == "validation_failed" for outcome in outcomes)


def load() -> schemathesis.BaseSchema:
    """Return what the service says of itself, and have requests sent to SERVED."""
    config = SchemathesisConfig(seed=SEED)
    config.projects.default.generation.max_examples = EXAMPLES
    config.projects.default.generation.with_security_parameters = False
    return schemathesis.openapi.from_wsgi("/openapi.json", SERVED, config=config)


SERVED = Served(create_app(OFFLINE_SETTINGS))
DESCRIBED = load()
OPERATIONS = [found.ok() for found in DESCRIBED.get_all_operations() if isinstance(found, Ok)]
SEEN: dict[str, set[int]] = defaultdict(set)


@pytest.fixture(scope="module")
def keyring(app: Application, services: Services, ada: Caller, pytestconfig: pytest.Config) -> Keyring:
    """Keys to the tested application, in which there is something to be read; and the seed, for all to see."""
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nschemathesis: DREAMSCRIPT_TEST_SEED={SEED} DREAMSCRIPT_TEST_EXAMPLES={EXAMPLES}")  # noqa: T201
    ada.new_document("First", project_id=ada.new_project()["id"])
    SERVED.app = app
    return Keyring(services.keys)


@pytest.fixture(scope="module")
def spares(ada: Caller, keyring: Keyring) -> Spares:
    """New things."""
    return Spares(ada, keyring)


@DESCRIBED.parametrize()
def test_every_answer_is_as_documented(case: schemathesis.Case[Any], keyring: Keyring, spares: Spares) -> None:
    spares.put_into(case)
    response = case.call(headers=keyring.headers)
    # COPY is allowed, and OpenAPI has no word for it.
    excluded = [allow_header_conformance]
    excluded += [positive_data_acceptance] if beyond_schemas(response) else []
    excluded += [negative_data_rejection] if case.path.endswith("/batch") and refuses_within(response) else []
    case.validate_response(
        response,
        headers=keyring.headers,
        excluded_checks=excluded,
        transport_kwargs={"headers": keyring.headers},
    )
    SEEN[case.operation.label].add(response.status_code)
    if "key_id" in case.path_parameters and case.method != "GET":
        keyring.renew()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_each_operation_succeeded_and_was_refused(operation: Any) -> None:
    """Else the test above would say little. It has been run before this one."""
    if operation.label not in SEEN:
        pytest.skip("the requests that this test looks back on were not chosen to be sent")
    definition = operation.definition.raw
    expected = {int(status) for status in definition["responses"] if status.startswith("20")}
    if operation.body or operation.query:
        expected.add(400)
    assert expected <= SEEN[operation.label]
