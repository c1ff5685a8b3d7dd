"""Run the examples of docs/history.md."""

from __future__ import annotations

from tests.docs.blocks import blocks, commands
from tests.docs.conftest import MakeReader, NewItem
from tests.server.live import Live


def test_an_edit_is_shown_and_undone(make_reader: MakeReader, new_item: NewItem, live: Live, key: str) -> None:
    path = f"/documents/{new_item('documents', title='New analysis')}"
    edited = {"title": "New analysis", "content": "step1: load data"}
    assert live.request("PUT", path, key, edited)[0] == 200
    reader = make_reader({"3": path.rpartition("/")[2]})
    setup, listing, restoring = [commands(block) for block in blocks("docs/history.md", "sh")]
    for row in (*setup, *listing, *restoring):
        reader.run(row)
    restored = live.request("GET", path, key)[1]
    assert restored == {"id": restored["id"], "title": "New analysis"}
    assert len(live.request("GET", f"{path}/versions", key)[1]) == 3
    # The text names one of these tags in a path, and a forgotten document.
    version = f"{path}/versions/{reader.values['1-5a0c…']}"
    assert live.request("GET", version, key)[1]["value"] == restored
    live.request("DELETE", path, key)
    assert live.request("DELETE", f"{path}/versions", key)[0] == 204
