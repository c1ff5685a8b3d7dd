"""Generated clients run the public guide: by openapi-python-client, and by openapi-typescript with openapi-fetch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import Application
from tests.api.conftest import Caller
from tests.api.openapi.tools import (
    INSTALL_SECONDS,
    PINS,
    install_node_tools,
    install_python_tools,
    node_command,
    run,
)
from tests.api.operations import TEXT
from tests.api.serving import serving
from tests.docs.blocks import blocks

pytestmark = pytest.mark.timeout(INSTALL_SECONDS)

MAX_CLASSES = 90
# The parts of a program around the example of docs/api.md that walks through the pages of a project.
PYTHON_WALK = """
import json, sys
from urllib.parse import parse_qs, urlsplit
from dreamscript_client import AuthenticatedClient
from dreamscript_client.api.documents import list_documents
from dreamscript_client.types import UNSET
_, url, key = sys.argv
ids = []
EXAMPLE
print(json.dumps(ids))
"""
TYPESCRIPT_WALK = """
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";
declare const process: { argv: string[] };
const [, , baseUrl, key] = process.argv;
const ids: number[] = [];
EXAMPLE
console.log(JSON.stringify(ids));
"""


@pytest.fixture(scope="module")
def url(app: Application) -> Iterator[str]:
    """The URL of this module's application, served over HTTP."""
    with serving(app) as url:
        yield url


@pytest.fixture
def document(tmp_path: Path) -> str:
    """The path of a file with the OpenAPI document."""
    file = tmp_path / "openapi.json"
    file.write_text(TEXT)
    return str(file)


def documents_of_a_new_project(ada: Caller) -> tuple[int, list[int]]:
    """Return the ids of a new project and of its documents."""
    project_id = ada.new_project()["id"]
    return project_id, [ada.new_document(project_id=project_id)["id"] for _ in range(5)]


def example_of_a_walk(language: str, program: str, changes: dict[str, str]) -> str:
    """Return the program with the page's example in this language, and with the parts that the reader puts in."""
    [example] = blocks("docs/api.md", language)
    for placeholder, own in changes.items():
        assert placeholder in example
        example = example.replace(placeholder, own)
    return program.replace("EXAMPLE", example)


def test_a_python_client_runs_the_guide(tmp_path: Path, document: str, url: str, ada: Caller) -> None:
    python, package, config = str(install_python_tools()), tmp_path / "dreamscript_client", tmp_path / "config.yaml"
    config.write_text("post_hooks: []\n")
    options = ("--path", document, "--output-path", str(package), "--meta", "none", "--config", str(config))
    report = run([python, "-m", "openapi_python_client", "generate", *options, "--fail-on-warning"])
    assert "Warning" not in report
    classes = [name for file in package.rglob("*.py") for name in re.findall(r"^class (\w+)", file.read_text(), re.M)]
    assert 30 < len(classes) <= MAX_CLASSES
    guide = tmp_path / "guide.py"
    guide.write_bytes((PINS / "guide.py").read_bytes())
    run([python, str(guide), url, ada.key or ""], tmp_path)
    project_id, ids = documents_of_a_new_project(ada)
    changes = {
        "project_id=10, limit=100": f"project_id={project_id}, limit=2",
        "...  # page.parsed is the page": "ids += [document.id for document in page.parsed]",
    }
    walk = tmp_path / "walk.py"
    walk.write_text(example_of_a_walk("python", PYTHON_WALK, changes))
    assert json.loads(run([python, str(walk), url, ada.key or ""], tmp_path)) == ids


def test_a_typescript_client_runs_the_guide(tmp_path: Path, document: str, url: str, ada: Caller) -> None:
    tools = install_node_tools()
    (tmp_path / "node_modules").symlink_to(tools / "node_modules")
    (tmp_path / "package.json").write_text(json.dumps({"type": "module"}))
    (tmp_path / "guide.ts").write_bytes((PINS / "guide.ts").read_bytes())
    project_id, ids = documents_of_a_new_project(ada)
    changes = {
        "project_id: 10, limit: 100": f"project_id: {project_id}, limit: 2",
        "// … data is the page": "ids.push(...(data ?? []).map((document) => document.id));",
    }
    (tmp_path / "walk.ts").write_text(example_of_a_walk("ts", TYPESCRIPT_WALK, changes))
    run(node_command(tools, "openapi-typescript", document, "--output", str(tmp_path / "schema.d.ts")))
    options = ("--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom")
    run(node_command(tools, "tsc", *options, "guide.ts", "walk.ts"), tmp_path)
    node = node_command(tools, "tsc")[0]
    run([node, str(tmp_path / "guide.js"), url, ada.key or ""], tmp_path)
    assert json.loads(run([node, str(tmp_path / "walk.js"), url, ada.key or ""], tmp_path)) == ids
