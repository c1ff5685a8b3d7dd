"""Count phrases and names that make the code harder to read; a limit may only go down."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.nodatabase

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "couchapp", "launcher", "tests", "proofs", "bench")
TEXT_TOKENS = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}

# How often each pattern may still occur. Write the words of the comment instead.
PHRASES: dict[str, int] = {
    # Name the thing, the person or the program.
    r"\b(?:whatever|whoever|whichever)\b": 5,
    r"\bwhat\b": 35,
    r"\bwho\b": 11,
    # Return, report, notify, show; receive, notification.
    r"\b(?:told|tells?|hears?|heard|news)\b": 3,
    # At most N, up to N.
    r"\bso (?:many|much|long)\b": 0,
    # Again, permanently, honour.
    r"\b(?:anew|for ever|heed(?:s|ed)?|bearable|to be had|c[ao]mes? to life|bur(?:y|ied|ies|ial)|lest)\b": 0,
    # Two sentences.
    r"\b(?:of|in|by|for|to|with|from|at|under|on) (?:which|whom|whose)\b": 17,
    # Undo, in flight, superseded, resolve.
    r"\b(?:(?:tak(?:e|es|en|ing)|took) back|g[ai]ves? way|under way|overtak(?:e|es|en)|settle[sd]?)\b": 0,
}
# How often a variable or parameter may still be named for the act of getting a value. Name the value instead.
NAMES: dict[str, int] = {
    "asked": 7,
    "chosen": 0,
    "done": 0,
    "found": 5,
    "kept": 2,
    "left": 1,
    "said": 0,
    "shown": 2,
    "told": 0,
    "wanted": 0,
}


class Text(NamedTuple):
    """A piece of prose, and where it begins."""

    file: str
    line: int
    text: str


def python_files() -> list[Path]:
    """Return the Python files of the project, except this one."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in (*files, ROOT / "conftest.py") if path != Path(__file__)]


@cache
def prose() -> tuple[Text, ...]:
    """Return comments, strings and test names of the Python files, comments of the JavaScript, and the pages."""
    return (*python_prose(), *javascript_prose(), *pages())


def python_prose() -> Iterator[Text]:
    """Yield each comment and string, and the words of each name that begins with `test_`."""
    for path in python_files():
        file = str(path.relative_to(ROOT))
        with path.open("rb") as source:
            for token in tokenize.tokenize(source.readline):
                if token.type in TEXT_TOKENS:
                    yield Text(file, token.start[0], token.string.strip("#\"' "))
                elif token.type == tokenize.NAME and token.string.startswith("test_"):
                    yield Text(file, token.start[0], token.string.removeprefix("test_").replace("_", " "))


def javascript_prose() -> Iterator[Text]:
    """Yield each comment of the design documents."""
    for path in sorted((ROOT / "design_docs").rglob("*.js")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.lstrip().startswith(("//", "*", "/*")):
                yield Text(str(path.relative_to(ROOT)), number, line.strip(" /*"))


def pages() -> Iterator[Text]:
    """Yield each page of documentation."""
    for path in sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))):
        yield Text(str(path.relative_to(ROOT)), 1, path.read_text())


def places(pattern: str) -> list[str]:
    """Return every match of ``pattern`` as `file:line: match`."""
    expression = re.compile(pattern.replace(" ", r"\s+(?:#\s+)?"), re.IGNORECASE)
    return [
        f"{text.file}:{text.line + text.text.count(chr(10), 0, match.start())}: {' '.join(match[0].split())}"
        for text in prose()
        for match in expression.finditer(text.text)
    ]


@cache
def assignments() -> dict[str, list[str]]:
    """Return by name where each variable is assigned and each parameter declared."""
    lines: dict[str, list[str]] = {}
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.arg):
                name = node.arg
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                name = node.id
            else:
                continue
            lines.setdefault(name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return lines


@pytest.mark.parametrize("pattern", PHRASES)
def test_a_phrase_to_avoid_gets_no_more_frequent(pattern: str) -> None:
    lines = places(pattern)
    assert len(lines) <= PHRASES[pattern], "\n".join([f"{len(lines)} places, {PHRASES[pattern]} allowed", *lines])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_to_avoid_gets_no_more_frequent(name: str) -> None:
    lines = assignments().get(name, [])
    assert len(lines) <= NAMES[name], "\n".join([f"{len(lines)} places, {NAMES[name]} allowed", *lines])
