"""Finds cases, which are JSON files: a rule is tested by adding one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from couchapp import tree

FOLDER = Path(__file__).parent
TREE = tree.load()


def cases(kind: str) -> list[Any]:
    """Return a pytest parameter, the folder that a file is in and the JSON in it, for each file below ``kind``."""
    root = FOLDER / kind
    return [
        pytest.param(str(file.parent.relative_to(root)), json.loads(file.read_text()), id=str(file.relative_to(root)))
        for file in sorted(root.rglob("*.json"))
    ]
