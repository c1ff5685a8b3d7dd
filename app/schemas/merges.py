"""The shape of a merge, member by member, as OpenAPI describes it."""

from __future__ import annotations

from typing import Any

# A part of a member; null is an absent one.
VALUE = {"type": ["string", "integer", "null"]}


def merged_member(versions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one member of a merge; ``versions`` completes the schema of a hunk's versions."""
    hunk = {"merged": {"type": "string"}, "base": VALUE, "versions": {"type": "object", **versions}}
    return {
        "type": "object",
        "required": ["state"],
        "properties": {
            "state": {"type": "string", "enum": ["clean", "clash"]},
            "value": {"type": ["string", "integer"], "description": "The merged value of a clean member."},
            "hunks": {
                "type": "array",
                "description": "Consecutive parts of the member, which cover all of it.",
                "items": {"type": "object", "properties": hunk},
            },
        },
    }
