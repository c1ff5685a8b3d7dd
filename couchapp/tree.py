"""Reads the folder of design documents: the path of a file is the address of what it holds."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Document = dict[str, Any]
# Design documents by name, by database name without its prefix.
Tree = dict[str, dict[str, Document]]

FOLDER = Path(__file__).parent.parent / "design_docs"
# Holds pieces of JavaScript, so its name is no database's.
SHARED = "_shared"
INCLUDE = re.compile(r"^([ \t]*)// include (\S+)$", re.MULTILINE)
# CouchDB refuses named functions, and PouchDB runs only what begins on the first line (docs/couchdb-quirks.md).
FUNCTION = re.compile(r"\(|function\s*\(")
BUILT_IN = ("_count", "_sum", "_stats")
NAME = re.compile(r"[a-z][a-z0-9_]*")


class TreeError(Exception):
    """The folder holds something that has no meaning, or lacks something that it names."""


def load(folder: Path | None = None) -> Tree:
    """Return the design documents of ``folder``, or of the project, with `_id` and without `_rev`.

    Below it lie `<database>/<design document>/views/<view>/{map.js,reduce}` and
    `<database>/<design document>/validate_doc_update.js`. A line `// include FILE` stands for `_shared/FILE`.
    Raises TreeError.
    """
    root = folder or FOLDER
    shared = {file.name: file.read_text() for file in _entries(root / SHARED)} if (root / SHARED).is_dir() else {}
    return {
        database.name: {design.name: _design_document(design, shared) for design in _folders(database)}
        for database in _folders(root)
        if database.name != SHARED
    }


def digest(tree: Tree) -> str:
    """Return a short text that differs between trees that differ."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def _design_document(folder: Path, shared: dict[str, str]) -> Document:
    document: Document = {"_id": f"_design/{folder.name}", "language": "javascript"}
    for entry in _entries(folder):
        if entry.name == "views" and entry.is_dir():
            document["views"] = {view.name: _view(view, shared) for view in _folders(entry)}
        elif entry.name == "validate_doc_update.js":
            document["validate_doc_update"] = _source(entry, shared)
        else:
            raise TreeError(f"{entry}: a design document holds the folder views and validate_doc_update.js")
    if len(document) == 2:
        raise TreeError(f"{folder}: a design document holds views or validate_doc_update.js")
    return document


def _view(folder: Path, shared: dict[str, str]) -> dict[str, str]:
    view = {}
    for entry in _entries(folder):
        if entry.name not in ("map.js", "reduce"):
            raise TreeError(f"{entry}: a view holds map.js and reduce")
        view[entry.stem] = _source(entry, shared)
    if "map" not in view:
        raise TreeError(f"{folder}: a view needs map.js")
    return view


def _source(file: Path, shared: dict[str, str]) -> str:
    """Return the text of a function, or the name of one that both databases have built in."""

    def piece(found: re.Match[str]) -> str:
        if found[2] not in shared:
            raise TreeError(f"{file}: there is no {SHARED}/{found[2]} to include")
        return "\n".join(found[1] + line if line else "" for line in shared[found[2]].rstrip().split("\n"))

    source = INCLUDE.sub(piece, file.read_text()).rstrip()
    if not FUNCTION.match(source) and not (file.name == "reduce" and source in BUILT_IN):
        raise TreeError(f"{file}: a function has no name, and comments stand inside of it")
    return source


def _folders(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if not entry.is_dir() or not (NAME.fullmatch(entry.name) or entry.name == SHARED):
            raise TreeError(f"{entry}: here are only folders, named with lower-case letters, digits and _")
        yield entry


def _entries(folder: Path) -> Iterable[Path]:
    """Return what lies in ``folder`` by name, without the files that systems hide there."""
    if not folder.is_dir():
        raise TreeError(f"{folder}: there is no such folder")
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
