"""Cursors: positions in a listing, encrypted and bound to the principal and the listing."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from app.domain.sealing import decode, derive_key, encode
from app.errors import InvalidCursor

LABEL = b"dreamscript listing cursor"
KEY_BYTES = 64
# The length of the longest position, a revision. All are padded to it, so that the length of a cursor reveals nothing.
POSITION_CHARACTERS = 49


class Cursors:
    """Write and read cursors. The first of ``secrets`` encrypts, and all of them decrypt.

    A cursor may point to an item that the key may not see, so clients must not be able to read it. With AES-SIV
    (RFC 5297), a position always has the same cursor, so that equal pages have equal answers.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._ciphers = [AESSIV(derive_key(secret, LABEL, KEY_BYTES)) for secret in secrets]

    def write(self, position: int | str, *binding: object) -> str:
        """Return the cursor for ``position``, an id or a revision, valid only with the same ``binding``.

        The binding has all that the listing depends on: principal, path and filters, as JSON values.
        """
        text = str(position).ljust(POSITION_CHARACTERS).encode()
        return encode(self._ciphers[0].encrypt(text, _associated(binding)))

    def read(self, cursor: str, *binding: object) -> int:
        """Return the id in ``cursor``. Raises InvalidCursor."""
        return int(self.read_revision(cursor, *binding))

    def read_revision(self, cursor: str, *binding: object) -> str:
        """Return the revision in ``cursor``. Raises InvalidCursor."""
        content = decode(cursor)
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(content, _associated(binding)).decode().rstrip()
            except (InvalidTag, ValueError):
                continue
        raise InvalidCursor


def _associated(binding: tuple[object, ...]) -> list[bytes]:
    return [json.dumps(binding, sort_keys=True).encode()]
