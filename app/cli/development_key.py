"""The development key of `make run`: created on the first start, and kept for each database that a folder has used."""

from __future__ import annotations

import os
import re
from pathlib import Path

from app.cli.banner import DevelopmentKey
from app.domain.access import SCOPES
from app.domain.resources import now
from app.services import Services
from app.settings import Settings

CURRENT, ALL, EARLIER = "development-key", "development-keys", "earlier"


def development_key(settings: Settings, services: Services, place: str) -> DevelopmentKey:
    """Return the key for the database at ``place``; create one if the installation has no keys at all.

    The file `development-key` holds the key of the database in use, and `development-keys/` one for each database.
    """
    current, folder = settings.var / CURRENT, settings.var / ALL
    own = folder / re.sub(r"[^\w.-]", "_", f"{place}-{settings.prefix}")
    for file in (own, current):
        if _is_valid(file, services):
            _put(file.read_text().strip(), own, current)
            return DevelopmentKey(current)
    if next(iter(services.keys.all()), None) is not None:
        return DevelopmentKey(None)
    _, text = services.keys.create("development", SCOPES, env="dev")
    _put(text, own, current)
    return DevelopmentKey(current, text)


def _is_valid(file: Path, services: Services) -> bool:
    # The authenticator would record this as a use of the key.
    key = services.keys.recognise(file.read_text().strip()) if file.exists() else None
    return key is not None and key.is_alive(now())


def _put(text: str, own: Path, current: Path) -> None:
    """Store a key as the one of its database and as the one in use. Another database's key stays in its own file."""
    if current.exists() and current.read_text().strip() != text:
        stored = [file.read_text().strip() for file in own.parent.glob("*")]
        if current.read_text().strip() not in stored:
            own.parent.mkdir(parents=True, exist_ok=True)
            current.rename(own.parent / EARLIER)
    for file in (own, current):
        if not file.exists() or file.read_text().strip() != text:
            write_private(file, text)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text + "\n")
    new.replace(file)
