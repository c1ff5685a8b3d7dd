"""Reads the folder of design documents, where the path of a file is its address in CouchDB."""

from __future__ import annotations

import difflib
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
NAMED = re.compile(r"async\b|function\s+\w")
BOM = "\ufeff"
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
    shared = {file.name: _text(file) for file in _entries(root / SHARED)} if (root / SHARED).is_dir() else {}
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
            raise TreeError(_misplaced(entry, "a design document", "views", "validate_doc_update.js"))
    if len(document) == 2:
        raise TreeError(f"{folder}: add views/NAME/map.js or validate_doc_update.js, or remove the folder")
    return document


def _view(folder: Path, shared: dict[str, str]) -> dict[str, str]:
    view = {}
    for entry in _entries(folder):
        if entry.name not in ("map.js", "reduce"):
            raise TreeError(_misplaced(entry, "a view", "map.js", "reduce"))
        view[entry.stem] = _source(entry, shared)
    if "map" not in view:
        raise TreeError(f"{folder}: a view needs the file map.js")
    return view


def _source(file: Path, shared: dict[str, str]) -> str:
    """Return the text of a function, or the name of a built-in reduce function."""

    def include(match: re.Match[str]) -> str:
        if match[2] not in shared:
            names = ", ".join(shared) or "no file"
            raise TreeError(f"{file}: there is no {SHARED}/{match[2]} to include; {SHARED} holds {names}")
        return "\n".join(match[1] + line if line else "" for line in shared[match[2]].rstrip().split("\n"))

    source = INCLUDE.sub(include, _text(file)).rstrip()
    if not FUNCTION.match(source) and not (file.name == "reduce" and source in BUILT_IN):
        raise TreeError(f"{file}: {_no_function(file, source)}")
    return source


def _text(file: Path) -> str:
    """Return the text of a file with Unix line ends. Raises TreeError for one that is not UTF-8 without a BOM."""
    try:
        text = file.read_text("utf-8")
    except IsADirectoryError:
        raise TreeError(f"{file}: this must be a file, and is a folder") from None
    except OSError as error:
        raise TreeError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TreeError(f"{file}: save the file in UTF-8") from None
    if text.startswith(BOM):
        raise TreeError(f"{file}: begins with a byte order mark (BOM); save the file in UTF-8 without BOM")
    return text


def _no_function(file: Path, source: str) -> str:
    """Return the reason why ``source`` is not the function that ``file`` must hold, and the correction."""
    if not source:
        return "the file is empty; write an anonymous function"
    if source.startswith(("//", "/*")):
        return "move the comment inside the function: PouchDB needs the function on the first line"
    if NAMED.match(source):
        return "CouchDB accepts no named and no async function; write an anonymous one, such as (doc) => { … }"
    built_in = f", or one of {', '.join(BUILT_IN)}" if file.name == "reduce" else ""
    return f"write an anonymous function that begins on the first line, such as (doc) => {{ … }}{built_in}"


def _misplaced(entry: Path, place: str, *names: str) -> str:
    """Return the reason why ``entry`` may not be in its folder, with the name that is probably meant."""
    similar = difflib.get_close_matches(entry.name.lower(), names, 1)
    guess = f"; rename it to {similar[0]}" if similar and similar[0] != entry.name else ""
    return f"{entry}: {place} holds only {' and '.join(names)}{guess}"


def _folders(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if not entry.is_dir() or not (NAME.fullmatch(entry.name) or entry.name == SHARED):
            wrong = "this is a file; only folders may be here" if not entry.is_dir() else "rename the folder"
            raise TreeError(f"{entry}: {wrong}, named with lower-case letters, digits and _, a letter first")
        yield entry


def _entries(folder: Path) -> Iterable[Path]:
    """Return the entries of ``folder`` in order, without hidden files."""
    if not folder.is_dir():
        raise TreeError(f"{folder}: there is no such folder")
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
