"""Check how the folder of design documents is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from couchapp import tree
from couchapp.tree import TreeError

pytestmark = pytest.mark.nodatabase


def write(root: Path, **files: str) -> Path:
    """Write files whose paths have `__` for `/`, and return ``root``."""
    for path, text in files.items():
        file = root / path.replace("__", "/").replace("_js", ".js")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_a_design_document_is_read_from_its_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        films__lists__views__all__map_js="(doc) => {\n  emit(1);\n}\n",
        films__lists__views__all__reduce="_count\n",
        films__rules__validate_doc_update_js="function (newDoc) {\n}\n",
    )
    assert tree.load(tmp_path) == {
        "films": {
            "lists": {
                "_id": "_design/lists",
                "language": "javascript",
                "views": {"all": {"map": "(doc) => {\n  emit(1);\n}", "reduce": "_count"}},
            },
            "rules": {
                "_id": "_design/rules",
                "language": "javascript",
                "validate_doc_update": "function (newDoc) {\n}",
            },
        }
    }


def test_an_included_file_replaces_its_line_and_keeps_its_indentation(tmp_path: Path) -> None:
    (tmp_path / "_shared").mkdir()
    (tmp_path / "_shared" / "rules.js").write_text("const a = 1;\n\nif (a) {\n  b();\n}\n")
    write(tmp_path, films__rules__validate_doc_update_js="(newDoc) => {\n  // include rules.js\n  c();\n}\n")
    source = tree.load(tmp_path)["films"]["rules"]["validate_doc_update"]
    assert source == "(newDoc) => {\n  const a = 1;\n\n  if (a) {\n    b();\n  }\n  c();\n}"


def test_hidden_files_are_ignored(tmp_path: Path) -> None:
    write(tmp_path, films__lists__views__all__map_js="(doc) => {}")
    (tmp_path / ".DS_Store").write_text("")
    assert list(tree.load(tmp_path)) == ["films"]


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("films__lists__views__all__map_js", "// Comment\n(doc) => {}", "move the comment inside the function"),
        ("films__lists__views__all__map_js", "function all(doc) {}", "no named and no async function"),
        ("films__lists__views__all__map_js", "async (doc) => {}", "no named and no async function"),
        ("films__lists__views__all__map_js", "_count", "an anonymous function that begins on the first line"),
        ("films__lists__views__all__map_js", "", "the file is empty"),
        ("films__lists__views__all__reduce", "_count", "needs the file map.js"),
        ("films__lists__views__all__filter_js", "(doc) => {}", "a view holds only map.js and reduce"),
        ("films__lists__views__all__Map_js", "(doc) => {}", "rename it to map.js"),
        ("films__lists__views__all__reduce_js", "_count", "rename it to reduce"),
        ("films__lists__view__all__map_js", "(doc) => {}", "rename it to views"),
        ("films__rules__validate_js", "(doc) => {}", "rename it to validate_doc_update.js"),
        ("films__lists__views__all__reduce", "count", "or one of _count, _sum, _stats"),
        (
            "films__lists__views__all__map_js",
            "\ufeff(doc) => {}",
            "byte order mark .BOM.; save the file in UTF-8 without",
        ),
        ("films__lists__views__all__map_js__x", "", "this must be a file, and is a folder"),
        ("films__lists__filters__all_js", "(doc) => {}", "views and validate_doc_update.js"),
        ("films__lists__rules_js", "(doc) => {}", "views and validate_doc_update.js"),
        ("films__rules__validate_doc_update_js", "(a) => {\n// include none.js\n}", "no _shared/none.js"),
        ("Films__lists__views__all__map_js", "(doc) => {}", "rename the folder, named with lower-case"),
        ("notes_js", "", "only folders"),
    ],
)
def test_an_unknown_file_is_refused(tmp_path: Path, path: str, text: str, reason: str) -> None:
    with pytest.raises(TreeError, match=reason):
        tree.load(write(tmp_path, **{path: text}))


@pytest.mark.parametrize("data", [b"\xff\xfe(\x00d\x00", b"// caf\xe9"])
def test_a_file_in_another_encoding_is_refused(tmp_path: Path, data: bytes) -> None:
    root = write(tmp_path, films__lists__views__all__map_js="")
    (root / "films/lists/views/all/map.js").write_bytes(data)
    with pytest.raises(TreeError, match="save the file in UTF-8"):
        tree.load(root)


def test_windows_line_ends_are_no_difference(tmp_path: Path) -> None:
    root = write(tmp_path, films__lists__views__all__map_js="")
    (root / "films/lists/views/all/map.js").write_bytes(b"(doc) => {\r\n}\r\n")
    assert tree.load(root)["films"]["lists"]["views"]["all"]["map"] == "(doc) => {\n}"


def test_an_empty_design_document_is_refused(tmp_path: Path) -> None:
    (tmp_path / "films" / "lists").mkdir(parents=True)
    with pytest.raises(TreeError, match="or remove the folder"):
        tree.load(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="no such folder"):
        tree.load(tmp_path / "none")
