"""Finds the test cases, which are JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from couchapp import tree

FOLDER = Path(__file__).parent
TREE = tree.load()


def cases(kind: str) -> list[Any]:
    """Return a pytest parameter for each file below ``kind``: its folder and its JSON."""
    root = FOLDER / kind
    return [
        pytest.param(str(file.parent.relative_to(root)), json.loads(file.read_text()), id=str(file.relative_to(root)))
        for file in sorted(root.rglob("*.json"))
    ]
