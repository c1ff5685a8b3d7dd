"""Merge patches of flat objects (RFC 7396)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(members: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``members`` with ``patch`` applied: a member that is None in the patch is removed."""
    return {name: value for name, value in {**members, **patch}.items() if value is not None}
