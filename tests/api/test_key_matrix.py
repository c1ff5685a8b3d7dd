"""No operation, present or future, reveals or changes an item outside the limits of a key.

Each is requested with every sort of key, as the served OpenAPI document describes it (tests/api/templates.py). An item
outside the limits of a key is requested before it exists, and again when it is another principal's: byte by byte, the
answers must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from app import Application
from app.domain.access import Access, Key
from app.domain.documents import Documents
from app.domain.keys.keys import Keys
from app.domain.projects import Projects
from app.domain.resources import now
from app.http import paging
from app.settings import Settings
from app.wiring import build_services
from tests.api.conftest import Caller
from tests.api.key_matrix import EVERYTHING, MODES, REACHES, Cell, Matrix, World
from tests.api.operations import DOCUMENT, OPERATIONS, Operation
from tests.api.templates import Template

# Keys come first: their list reads every key, and the tests create more and more.
SECURED = sorted((found for found in OPERATIONS if found.says["security"]), key=lambda found: "/keys" not in found.path)
every_operation = pytest.mark.parametrize("operation", SECURED, ids=str)


class Tally:
    """Count cells, and fail for each fault."""

    def __init__(self) -> None:
        self.cells = self.leaks = self.others = 0

    def take(self, cells: list[Cell]) -> None:
        """Count ``cells`` and fail with their faults."""
        faults = [(cell.question, fault) for cell in cells for fault in cell.faults]
        leaks = sum(fault.startswith("leak: ") for _, fault in faults)
        self.cells += len(cells)
        self.leaks += leaks
        self.others += len(faults) - leaks
        assert cells
        assert not faults, "\n".join(f"{question}\n    {fault}" for question, fault in faults)


@pytest.fixture(scope="module")
def tally(pytestconfig: pytest.Config) -> Iterator[Tally]:
    """The counts of this run, printed at its end."""
    tally = Tally()
    yield tally
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nkey matrix: {tally.cells} cells, {tally.leaks} leaks, {tally.others} other faults")  # noqa: T201


@pytest.fixture(scope="module")
def matrix(app: Application, ada: Caller, settings: Settings) -> Iterator[Matrix]:
    """The matrix over this module's installation."""
    past = build_services(settings, now=lambda: now() - timedelta(days=2))
    yield Matrix(World(app, ada), past.keys)
    past.close()


@every_operation
def test_all_invalid_keys_are_refused_alike(matrix: Matrix, tally: Tally, operation: Operation) -> None:
    tally.take(matrix.refused(Template(operation)))


@every_operation
def test_a_key_without_the_scope_is_refused_for_any_item(matrix: Matrix, tally: Tally, operation: Operation) -> None:
    tally.take(matrix.lacking(Template(operation)))


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("mode", MODES)
@every_operation
def test_a_foreign_item_is_answered_like_a_missing_one(
    matrix: Matrix, tally: Tally, operation: Operation, mode: str, reach: str
) -> None:
    tally.take(matrix.beyond(Template(operation), mode, reach))


@every_operation
def test_an_unlimited_key_is_accepted(matrix: Matrix, tally: Tally, operation: Operation) -> None:
    template = Template(operation)
    own = matrix.world.own("forbid", EVERYTHING, conflicted=template.lists_conflicts)
    tally.take(list(matrix.allowed(template, "forbid", EVERYTHING, own)))


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_options_answers_every_key_alike(matrix: Matrix, tally: Tally, path: str) -> None:
    tally.take(matrix.options(path, {m.removeprefix("x-").upper() for m in DOCUMENT["paths"][path]} - {"PARAMETERS"}))


Patch = Callable[[pytest.MonkeyPatch], None]


def template(path: str, method: str = "get") -> Template:
    """Return the pattern of a served operation."""
    return Template(next(found for found in OPERATIONS if (found.path, found.method) == (path, method)))


def put(owner: object, name: str, value: object) -> Patch:
    """Return a function that replaces a part of the service by ``value``."""
    return lambda patch: patch.setattr(owner, name, value)


BROKEN: dict[str, tuple[Patch, Callable[[Matrix], list[Cell]], str]] = {
    "dead keys live on": (
        put(Key, "is_alive", lambda *_: True),
        lambda matrix: matrix.refused(template("/documents")),
        "not the 401",
    ),
    "scopes are not asked for": (
        put(Access, "require", lambda *_: None),
        lambda matrix: matrix.lacking(template("/documents")),
        "said 200",
    ),
    "documents are shown to all": (
        put(Documents, "read", lambda documents, _, number, **how: documents.items.read(number, **how)),
        lambda matrix: matrix.beyond(template("/documents/{document_id}"), "hide", "project"),
        "is revealed",
    ),
    "a missing item is reported as missing": (
        put(Documents, "check_in_scope", lambda *_: None),
        lambda matrix: matrix.beyond(template("/documents/{document_id}"), "forbid", "document"),
        "as where there is nothing",
    ),
    "listings are not narrowed": (
        put(Projects, "page", lambda projects, _, query: projects.items.index.page(query)),
        lambda matrix: matrix.beyond(template("/projects"), "hide", "document"),
        "as where there is nothing",
    ),
    "cursors belong to all": (
        put(paging, "_binding", lambda _, query: (query.order,)),
        lambda matrix: matrix.beyond(template("/documents"), "hide", "project"),
        "instead of 400 to another's cursor",
    ),
    "keys are ended by all": (
        put(Keys, "get", lambda keys, key_id, _=None: keys._read([key_id])[0]),
        lambda matrix: matrix.beyond(template("/keys/{key_id}", "delete"), "hide", "project"),
        "it was changed",
    ),
    "keys are refused their own items": (
        put(Access, "admits_project", lambda access, _: access.reach is None),
        lambda matrix: list(matrix.allowed(template("/projects/{project_id}"), "hide", "project", matrix.owner)),
        "for an own item",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_matrix_finds(matrix: Matrix, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A service that is broken in one place must show faults, which proves that the matrix detects them."""
    breaks, ask, fault = BROKEN[what]
    with monkeypatch.context() as patch:
        breaks(patch)
        faults = [fault for cell in ask(matrix) for fault in cell.faults]
    assert any(fault in text for text in faults), faults
