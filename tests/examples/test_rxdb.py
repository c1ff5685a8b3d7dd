"""Clients on RxDB with the adapter of `examples/rxdb`: offline, with lost answers, refused writes, and random edits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.local_couchdb.embedded import find_node
from tests.api.openapi.tools import INSTALL_SECONDS, MIN_NODE_VERSION, install_node_tools
from tests.api.openapi.tools import run as run_command
from tests.server.live import Live, command

pytestmark = pytest.mark.timeout(INSTALL_SECONDS)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "rxdb"
MAX_ADAPTER_LINES = 200
ROUNDS = int(os.environ.get("DREAMSCRIPT_PROOF_OFFLINE_ROUNDS", "8"))
SEED = int(os.environ.get("DREAMSCRIPT_TEST_SEED", "1"))
SCENARIOS = (
    "edits_of_other_lines_are_merged_and_creations_keep_their_ids",
    "a_lost_answer_doubles_nothing",
    "a_creation_whose_answer_was_lost_takes_over_the_edits_of_others",
    "an_edit_after_a_lost_answer_and_a_reload_does_not_clash",
    "edits_faster_than_the_network_do_not_clash",
    "documents_are_pushed_after_their_projects",
    "a_refused_write_blocks_nothing_and_stays_readable",
    "a_batch_that_is_too_large_is_sent_in_parts",
    "a_clash_keeps_both_versions_until_somebody_chooses",
    "a_deletion_gives_way_to_an_edit_and_an_edit_of_a_deleted_item_stays_readable",
    "what_leaves_the_reach_of_a_key_disappears_and_its_edit_stays_readable",
    "a_revoked_key_loses_no_edit",
    "a_restored_database_drops_what_it_lost_and_keeps_what_is_new",
)
RANDOM = "random_edits_end_equal_everywhere"


@dataclass(frozen=True)
class Outcome:
    """The end of a scenario: its report, its error, and the seconds that it took."""

    name: str
    seconds: float
    report: dict[str, Any] | None = None
    error: str | None = None


Run = Callable[..., dict[str, Outcome]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the adapter, the scenarios and RxDB."""
    folder = tmp_path_factory.mktemp("rxdb")
    (folder / "node_modules").symlink_to(install_node_tools(EXAMPLE, "rxdb") / "node_modules")
    for file in (EXAMPLE / "package.json", *EXAMPLE.glob("*.js"), *(Path(__file__).parent / "rxdb").glob("*.js")):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path, live: Live, environ: dict[str, str], key: str) -> Run:
    """Run scenarios in one process of Node, and return their outcomes by name."""

    def outcomes(*names: str) -> dict[str, Outcome]:
        node, options = find_node(MIN_NODE_VERSION)[0], json.dumps({"rounds": ROUNDS, "seed": SEED})
        arguments = [node, "run.js", f"http://{live.address}", key, options, *names]
        pipe = subprocess.PIPE
        with subprocess.Popen(arguments, cwd=folder, stdin=pipe, stdout=pipe, text=True) as process:
            by_name = {outcome.name: outcome for outcome in _outcomes(process, environ)}
        assert process.returncode == 0
        return by_name

    return outcomes


def _outcomes(process: subprocess.Popen[str], environ: dict[str, str]) -> Iterator[Outcome]:
    """Yield the outcomes that Node prints, and run the operator's commands that it asks for."""
    assert process.stdout is not None
    assert process.stdin is not None
    for line in process.stdout:
        message = json.loads(line)
        if "command" in message:
            assert command(*message["command"], environ=environ).returncode == 0
            print(file=process.stdin, flush=True)
        else:
            yield Outcome(**message)


@pytest.fixture(scope="module")
def outcomes(run: Run) -> dict[str, Outcome]:
    """The outcomes of the scenarios, which share a process because Node takes a second to load RxDB."""
    return run(*SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_rxdb(outcomes: dict[str, Outcome], name: str) -> None:
    assert outcomes[name].error is None, outcomes[name].error


def test_random_edits_with_random_cuts_end_equal_everywhere(run: Run) -> None:
    outcome = run(RANDOM)[RANDOM]
    assert outcome.error is None, outcome.error
    print(outcome.report, f"{outcome.seconds:.0f} s")  # noqa: T201
    assert outcome.report is not None
    assert outcome.report["rounds"] == ROUNDS


def test_the_example_creates_a_document(folder: Path, live: Live, key: str) -> None:
    node = find_node(MIN_NODE_VERSION)[0]
    output = run_command([node, "example.js", f"http://{live.address}", key, "From RxDB"], folder)
    created = json.loads(output.splitlines()[-1])
    _, document = live.request("GET", f"/documents/{created['id']}", key)
    assert document == {"id": int(created["id"]), "title": "From RxDB"}


@pytest.mark.nodatabase
def test_the_adapter_is_small() -> None:
    assert len((EXAMPLE / "adapter.js").read_text().splitlines()) <= MAX_ADAPTER_LINES


@pytest.mark.nodatabase
def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((EXAMPLE / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
