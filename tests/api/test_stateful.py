"""The API answers like a model in memory for random sequences of requests."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.api.conftest import Answer, Caller

RUNS = int(os.environ.get("DREAMSCRIPT_TEST_RUNS", "6"))
STEPS = 30

NAMES = {"documents": "title", "projects": "name"}
MORE = {"documents": "content", "projects": "description"}
STALE = '"1-0123456789abcdef0123456789abcdef"'

kinds = st.sampled_from(sorted(NAMES))
texts = st.sampled_from(["a", "B", "ü", "🎭 x"])
choices = st.integers(0, 1000)
# The condition of a write: none, any tag, the current tag, or another.
conditions = st.sampled_from(["none", "any", "current", "stale"])


@dataclass
class Model:
    """The expected items of one type by id, their tags, and the deleted ids."""

    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    tags: dict[int, str] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    def choose(self, choice: int) -> int:
        """Return the id of an existing or deleted item."""
        ids = sorted(self.items.keys() | self.gone)
        return ids[choice % len(ids)]


class Machine(RuleBasedStateMachine):
    """Send requests with one key and update the model."""

    def __init__(self, ada: Caller) -> None:
        super().__init__()
        self._ada = ada
        self.models = {kind: Model() for kind in NAMES}

    def send(self, method: str, path: str, value: object = None, **headers: str) -> Answer:
        """Send one request."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self._ada.request(method, path, headers=named, **({} if value is None else {"json": value}))

    def took(self, kind: str, answer: Answer, item: dict[str, Any]) -> None:
        """Check that an answer shows the item, and record it."""
        model = self.models[kind]
        assert answer.json == item
        assert answer.headers["ETag"] not in model.tags.values()
        model.items[item["id"]], model.tags[item["id"]] = item, answer.headers["ETag"]

    def home(self, choice: int | None) -> dict[str, int]:
        """Return a `project_id` of an existing or deleted project, or none."""
        known = self.models["projects"]
        return {} if choice is None or not known.items.keys() | known.gone else {"project_id": known.choose(choice)}

    def is_open(self, home: dict[str, int]) -> bool:
        """Return whether a document can be put there."""
        return not home or home["project_id"] in self.models["projects"].items

    @rule(kind=kinds, text=texts, more=st.none() | texts, project=st.none() | choices, again=st.booleans())
    def create(self, kind: str, text: str, more: str | None, project: int | None, again: bool) -> None:
        """Create an item, perhaps twice with an Idempotency-Key."""
        home = self.home(project) if kind == "documents" else {}
        value = {NAMES[kind]: text, **({MORE[kind]: more} if more is not None else {}), **home}
        key = {"Idempotency_Key": secrets.token_hex(8)} if again else {}
        answer = self.send("POST", f"/{kind}", value, **key)
        if not self.is_open(home):
            assert answer.status_code == 400
        else:
            assert answer.status_code == 201
            assert answer.json["id"] not in self.models[kind].items.keys() | self.models[kind].gone
            self.took(kind, answer, {"id": answer.json["id"], **value})
        if again:
            repeated = self.send("POST", f"/{kind}", value, **key)
            assert (repeated.status_code, repeated.data) == (answer.status_code, answer.data)
            assert repeated.headers["Idempotency-Replayed"] == "true"
            assert self.send("POST", f"/{kind}", {NAMES[kind]: "another"}, **key).status_code == 422

    def condition(self, kind: str, public_id: int, condition: str) -> dict[str, str]:
        """Return the header of a condition."""
        current = self.models[kind].tags.get(public_id, STALE)
        tags = {"any": "*", "current": current, "stale": STALE}
        return {"If_Match": tags[condition]} if condition != "none" else {}

    def refused(self, kind: str, public_id: int, condition: str, answer: Answer) -> bool:
        """Return whether a write had to be refused, and check the refusal."""
        if public_id in self.models[kind].gone:
            assert answer.status_code == 404
            return True
        if condition == "stale":
            assert answer.status_code == 412
            assert answer.headers["ETag"] == self.models[kind].tags[public_id]
            return True
        return False

    @precondition(lambda self: any(model.items for model in self.models.values()))
    @rule(
        kind=kinds,
        choice=choices,
        text=texts,
        more=st.none() | texts,
        project=st.none() | choices,
        condition=conditions,
        patch=st.booleans(),
    )
    def change(
        self, kind: str, choice: int, text: str, more: str | None, project: int | None, condition: str, patch: bool
    ) -> None:
        """Replace an item or patch it, which may also remove a member and move it."""
        model = self.models[kind]
        if not model.items.keys() | model.gone:
            return
        public_id = model.choose(choice)
        home = self.home(project) if kind == "documents" else {}
        value: dict[str, Any] = {NAMES[kind]: text, **home}
        if more is not None:
            value[MORE[kind]] = more
        elif patch:
            value[MORE[kind]] = None
        header = self.condition(kind, public_id, condition)
        before = model.items.get(public_id, {})
        answer = self.send("PATCH" if patch else "PUT", f"/{kind}/{public_id}", value, **header)
        moves = bool(home) and home["project_id"] != before.get("project_id")
        if public_id in model.items and moves and not self.is_open(home):
            # The order of two faults is not specified.
            assert answer.status_code in ((400, 412) if condition == "stale" else (400,))
        elif not self.refused(kind, public_id, condition, answer):
            assert answer.status_code == 200
            whole = {**before, **value} if patch else {"id": public_id, **value}
            self.took(kind, answer, {name: member for name, member in whole.items() if member is not None})

    @precondition(lambda self: any(model.items for model in self.models.values()))
    @rule(kind=kinds, choice=choices, condition=conditions)
    def delete(self, kind: str, choice: int, condition: str) -> None:
        """Delete an item; a project only if it is empty."""
        model = self.models[kind]
        if not model.items.keys() | model.gone:
            return
        public_id = model.choose(choice)
        full = any(item.get("project_id") == public_id for item in self.models["documents"].items.values())
        answer = self.send("DELETE", f"/{kind}/{public_id}", **self.condition(kind, public_id, condition))
        if kind == "projects" and full:
            assert (answer.status_code, answer.json["error"]) == (409, "project_not_empty")
        elif not self.refused(kind, public_id, condition, answer):
            assert answer.status_code == 204
            model.gone.add(public_id)
            del model.items[public_id], model.tags[public_id]

    @precondition(lambda self: any(model.items for model in self.models.values()))
    @rule(kind=kinds, choice=choices)
    def copy(self, kind: str, choice: int) -> None:
        """Copy an item."""
        model = self.models[kind]
        if not model.items.keys() | model.gone:
            return
        public_id = model.choose(choice)
        answer = self.send("COPY", f"/{kind}/{public_id}")
        if public_id in model.gone:
            assert answer.status_code == 404
        else:
            assert answer.status_code == 201
            self.took(kind, answer, {**model.items[public_id], "id": answer.json["id"]})

    @rule(kind=kinds, limit=st.integers(1, 4), descending=st.booleans())
    def walk(self, kind: str, limit: int, descending: bool) -> None:
        """Walk over all items of this run, by id."""
        model = self.models[kind]
        known = sorted(model.items.keys() | model.gone, reverse=descending)
        if known:
            order = "desc" if descending else "asc"
            pages = self._ada.walk(f"/{kind}?ids={','.join(map(str, known))}&limit={limit}&order={order}")
            there = [model.items[public_id] for public_id in known if public_id in model.items]
            assert [item for page in pages for item in page] == there
            assert all(len(page) == limit for page in pages[:-1])

    @rule(choice=choices, limit=st.integers(1, 4))
    def walk_in_project(self, choice: int, limit: int) -> None:
        """Walk over a project; the tag of its page is valid until it changes."""
        if home := self.home(choice):
            path = f"/projects/{home['project_id']}/documents"
            if not self.is_open(home):
                assert self.send("GET", path).status_code == 404
                return
            documents = self.models["documents"].items
            there = [documents[i] for i in sorted(documents) if documents[i].get("project_id") == home["project_id"]]
            assert [item for page in self._ada.walk(f"{path}?limit={limit}") for item in page] == there
            tag = self.send("GET", path).headers["ETag"]
            assert self.send("GET", path, If_None_Match=tag).status_code == 304

    def teardown(self) -> None:
        """Read every item again."""
        for kind, model in self.models.items():
            for public_id, item in model.items.items():
                answer = self.send("GET", f"/{kind}/{public_id}")
                assert (answer.json, answer.headers["ETag"]) == (item, model.tags[public_id])
                spared = self.send("GET", f"/{kind}/{public_id}", If_None_Match=answer.headers["ETag"])
                assert (spared.status_code, spared.data) == (304, b"")
            for public_id in model.gone:
                assert self.send("GET", f"/{kind}/{public_id}").status_code == 404


def test_the_api_behaves_like_the_model(ada: Caller) -> None:
    profile = settings(max_examples=RUNS, stateful_step_count=STEPS)
    run_state_machine_as_test(lambda: Machine(ada), settings=profile)  # type: ignore[arg-type]  # a factory will do
