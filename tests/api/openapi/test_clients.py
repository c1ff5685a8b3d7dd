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

pytestmark = pytest.mark.timeout(INSTALL_SECONDS)

MAX_CLASSES = 90


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


def test_a_typescript_client_runs_the_guide(tmp_path: Path, document: str, url: str, ada: Caller) -> None:
    tools = install_node_tools()
    (tmp_path / "node_modules").symlink_to(tools / "node_modules")
    (tmp_path / "package.json").write_text(json.dumps({"type": "module"}))
    (tmp_path / "guide.ts").write_bytes((PINS / "guide.ts").read_bytes())
    run(node_command(tools, "openapi-typescript", document, "--output", str(tmp_path / "schema.d.ts")))
    options = ("--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom")
    run(node_command(tools, "tsc", *options, str(tmp_path / "guide.ts")), tmp_path)
    node = node_command(tools, "tsc")[0]
    run([node, str(tmp_path / "guide.js"), url, ada.key or ""], tmp_path)
