"""Items with versions that cannot be merged, and requests that resolve them."""

from __future__ import annotations

from typing import Any

import pytest

from app.services import Services
from tests.api.conflicts import bring_versions
from tests.api.conftest import Answer, Caller

NAMES = {"documents": "title", "projects": "name"}
TEXTS = {"documents": "content", "projects": "description"}
every_kind = pytest.mark.parametrize("kind", NAMES)


def clash(ada: Caller, services: Services, kind: str = "documents") -> tuple[int, list[str]]:
    """Return an item with two versions that cannot be merged, and their tags."""
    public_id = ada.post(f"/{kind}", {NAMES[kind]: "Base", TEXTS[kind]: "one\ntwo\nthree\n"}).json["id"]
    versions = [
        {NAMES[kind]: "Ours", TEXTS[kind]: "one\nTWO\nthree\n"},
        {NAMES[kind]: "Base", TEXTS[kind]: "one\n2\nthree\n"},
    ]
    return public_id, bring_versions(services, kind, public_id, *versions)


def resolve(caller: Caller, path: str, tags: list[str], **how: Any) -> Answer:
    return caller.post(f"{path}/resolve", {"supersedes": tags, **how})


def leaves(services: Services, kind: str, public_id: int) -> tuple[str, ...]:
    """Return the live leaves of an item."""
    name = kind.removesuffix("s")
    return services.store.leaves(kind).revisions([f"{name}:{public_id:016d}"])[f"{name}:{public_id:016d}"]
