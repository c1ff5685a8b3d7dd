"""Cursors of the changes: where a client goes on, encrypted, since CouchDB's sequences begin with a readable count."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.sealing import decode, derive_key, encode
from app.errors import InvalidCursor

FORMAT = 1
LABEL = b"dreamscript changes cursor"
KEY_BYTES, VECTOR_BYTES = 32, 12
# The plaintext is padded to a multiple of this, so that the length of a cursor reveals nothing about the database.
BLOCK_BYTES = 1024


class Place(NamedTuple):
    """A place in the feed of one database: the identity of the feed, and CouchDB's sequence."""

    identity: str
    sequence: int | str


@dataclass(frozen=True)
class Checkpoint:
    """Where a client goes on.

    ``scope`` is a digest of the limits of its key, and ``places`` are by resource type. Everything that changed before
    ``time`` (RFC 3339) is known to the client. During the first sync, ``listing`` names the resource type that is
    listed and the id after which the next page begins. ``ticket`` is the id of the ticket of the stream that has sent
    the cursor, if any.
    """

    region: int
    scope: str
    time: str
    places: Mapping[str, Place]
    listing: tuple[str, int] | None = None
    ticket: str | None = None


class ChangeCursors:
    """Write and read cursors. The first of ``secrets`` encrypts, and all of them decrypt."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._ciphers = [AESGCM(derive_key(secret, LABEL, KEY_BYTES)) for secret in secrets]

    def write(self, checkpoint: Checkpoint, *binding: object) -> str:
        """Return the cursor for ``checkpoint``, valid only with the same ``binding`` of JSON values."""
        text = json.dumps({"format": FORMAT, **asdict(checkpoint)}).encode()
        padded = text.ljust(-(-len(text) // BLOCK_BYTES) * BLOCK_BYTES)
        vector = os.urandom(VECTOR_BYTES)
        sealed = self._ciphers[0].encrypt(vector, padded, json.dumps(binding).encode())
        return encode(vector + sealed)

    def read(self, cursor: str, *binding: object) -> Checkpoint:
        """Return the checkpoint in ``cursor``. Raises InvalidCursor."""
        content = decode(cursor)
        for cipher in self._ciphers:
            try:
                text = cipher.decrypt(content[:VECTOR_BYTES], content[VECTOR_BYTES:], json.dumps(binding).encode())
            except (InvalidTag, ValueError):
                continue
            return _checkpoint(json.loads(text))
        raise InvalidCursor


def _checkpoint(members: dict[str, Any]) -> Checkpoint:
    if members.pop("format") != FORMAT:
        raise InvalidCursor
    places = {name: Place(*place) for name, place in members.pop("places").items()}
    listing = members.pop("listing")
    return Checkpoint(**members, places=places, listing=tuple(listing) if listing else None)
