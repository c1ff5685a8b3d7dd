"""Reads the folder of design documents, where the path of a file is its address in CouchDB."""

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
# Pieces of JavaScript to include; not a database.
SHARED = "_shared"
INCLUDE = re.compile(r"^([ \t]*)// include (\S+)$", re.MULTILINE)
# CouchDB refuses named functions, and PouchDB those that do not begin on the first line (docs/couchdb-quirks.md).
FUNCTION = re.compile(r"\(|function\s*\(")
BUILT_IN = ("_count", "_sum", "_stats")
NAME = re.compile(r"[a-z][a-z0-9_]*")


class DeployError(Exception):
    """A step of a deployment failed; the message gives an operator the reason."""


class TreeError(DeployError):
    """The folder contains a file or folder that has no meaning, or includes a file that does not exist."""


def load(root: Path = FOLDER) -> Tree:
    """Return the design documents of the folder ``root`` with `_id` and without `_rev`.

    Its files are `<database>/<design document>/views/<view>/{map.js,reduce}` and
    `<database>/<design document>/validate_doc_update.js`. A line `// include FILE` includes `_shared/FILE`.
    Raises TreeError.
    """
    shared = {file.name: file.read_text() for file in _entries(root / SHARED)} if (root / SHARED).is_dir() else {}
    return {
        database.name: {design.name: _design_document(design, shared) for design in _folders(database)}
        for database in _folders(root)
        if database.name != SHARED
    }


def digest(tree: Tree) -> str:
    """Return a short hash of ``tree``."""
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def _design_document(folder: Path, shared: dict[str, str]) -> Document:
    document: Document = {"_id": f"_design/{folder.name}", "language": "javascript"}
    for entry in _entries(folder):
        if entry.name == "views" and entry.is_dir():
            document["views"] = {view.name: _view(view, shared) for view in _folders(entry)}
        elif entry.name == "validate_doc_update.js":
            document["validate_doc_update"] = _source(entry, shared)
        else:
            raise TreeError(f"{entry}: a design document has the folder views and validate_doc_update.js")
    if len(document) == 2:
        raise TreeError(f"{folder}: a design document needs views or validate_doc_update.js")
    return document


def _view(folder: Path, shared: dict[str, str]) -> dict[str, str]:
    view = {}
    for entry in _entries(folder):
        if entry.name not in ("map.js", "reduce"):
            raise TreeError(f"{entry}: a view has map.js and reduce")
        view[entry.stem] = _source(entry, shared)
    if "map" not in view:
        raise TreeError(f"{folder}: a view needs map.js")
    return view


def _source(file: Path, shared: dict[str, str]) -> str:
    """Return the text of a function, or the name of a built-in reduce function."""

    def include(match: re.Match[str]) -> str:
        if match[2] not in shared:
            raise TreeError(f"{file}: there is no {SHARED}/{match[2]} to include")
        return "\n".join(match[1] + line if line else "" for line in shared[match[2]].rstrip().split("\n"))

    source = INCLUDE.sub(include, file.read_text()).rstrip()
    if not FUNCTION.match(source) and not (file.name == "reduce" and source in BUILT_IN):
        raise TreeError(f"{file}: write an anonymous function, with comments inside it")
    return source


def _folders(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if not entry.is_dir() or not (NAME.fullmatch(entry.name) or entry.name == SHARED):
            raise TreeError(f"{entry}: only folders may be here, named with lower-case letters, digits and _")
        yield entry


def _entries(folder: Path) -> Iterable[Path]:
    """Return the entries of ``folder`` in order, without hidden files."""
    if not folder.is_dir():
        raise TreeError(f"{folder}: there is no such folder")
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
