"""Run the examples of docs/offline.md in Node, with RxDB's storage in memory in place of a browser's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.api.openapi.tools import INSTALL_SECONDS, install_node_tools
from tests.docs.blocks import ROOT, blocks
from tests.docs.programs import node_command, run
from tests.server.live import Live

pytestmark = pytest.mark.timeout(INSTALL_SECONDS)

EXAMPLE = ROOT / "examples" / "rxdb"
STORAGES = {"{ getRxStorageDexie }": "{ getRxStorageMemory as getRxStorageDexie }", "storage-dexie": "storage-memory"}
# Waits for the service to have the document, breaks a rule, and ends when the page's subscription has shown that.
REST = """
function showRefused(refused) {
  for (const { id, status } of refused) {
    console.log(JSON.stringify({ id: Number(id), status }));
    process.exit();
  }
}
const read = () => service.call("GET", `/documents/${script.id}`).catch(() => ({}));
while ((await read()).content !== "one\\ntwo\\nthree\\n") await new Promise((resolve) => setTimeout(resolve, 50));
await script.incrementalPatch({ title: "x".repeat(301) });
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the adapter and RxDB."""
    (tmp_path / "node_modules").symlink_to(install_node_tools(EXAMPLE, "rxdb") / "node_modules")
    for file in (EXAMPLE / "package.json", *EXAMPLE.glob("*.js")):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_a_document_arrives_and_a_refused_write_is_shown(folder: Path, live: Live, key: str) -> None:
    page = "".join(blocks("docs/offline.md", "js")).replace("127.0.0.1:8000", live.address)
    for placeholder, own in STORAGES.items():
        assert placeholder in page
        page = page.replace(placeholder, own)
    script = f"const key = process.argv[1];\n{page}{REST}"
    refused = json.loads(run(node_command(script, key), folder=folder))
    assert refused["status"] == 400
    document = {"id": refused["id"], "title": "Intro script", "content": "one\ntwo\nthree\n"}
    assert live.request("GET", f"/documents/{refused['id']}", key)[1] == document
