"""The examples of the pages: their fenced blocks, and the commands in these with the output that the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Command(NamedTuple):
    """A shell command of a page, and the output below it: empty if the page shows none."""

    text: str
    output: str


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in this language, in their order; an empty language is that of plain blocks."""
    fenced = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [block for name, block in fenced.findall((ROOT / page).read_text()) if name == language]


def commands(block: str) -> list[Command]:
    """Return the commands of a block: of `console`, where a command follows `$ `, or `sh`, with output in comments."""
    rows: list[Command] = []
    text, mark = "", "$ " if block.startswith("$ ") else ""
    for line in block.splitlines(keepends=True):
        if text or (line.startswith(mark) and not line.startswith("#")):
            text += line if text else line.removeprefix(mark)
            if is_complete(text):
                rows.append(Command(text, ""))
                text = ""
        else:
            rows[-1] = rows[-1]._replace(output=rows[-1].output + (line if mark else line[1:].removeprefix(" ")))
    assert not text, f"the command has no end: {text}"
    return rows


def is_complete(text: str) -> bool:
    """Return whether a shell command ends with this line."""
    try:
        shlex.split(text, comments=True)
    except ValueError:  # A quotation is open.
        return False
    return not text.endswith("\\\n")
