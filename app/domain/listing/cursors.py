"""Cursors: positions in a listing, signed and bound to the principal and the listing."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Sequence
from hashlib import sha256

from itsdangerous import Signer

from app.errors import InvalidCursor

POSITION = re.compile(r"([0-9]{1,17})\.", re.ASCII)
REVISION = re.compile(r"([0-9]{1,16}-[0-9a-f]{32})\.", re.ASCII)


class Cursors:
    """Write and read cursors. The first of ``secrets`` signs, and all of them verify."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def write(self, position: int | str, *binding: object) -> str:
        """Return the cursor for ``position``, an id or a revision, valid only with the same ``binding``.

        The binding has all that the listing depends on: principal, path and filters, as JSON values.
        """
        return _signer(self._secrets[0], binding).sign(str(position)).decode()

    def read(self, cursor: str, *binding: object) -> int:
        """Return the id in ``cursor``. Raises InvalidCursor."""
        return int(self._read(POSITION, cursor, binding))

    def read_revision(self, cursor: str, *binding: object) -> str:
        """Return the revision in ``cursor``. Raises InvalidCursor."""
        return self._read(REVISION, cursor, binding)

    def _read(self, pattern: re.Pattern[str], cursor: str, binding: tuple[object, ...]) -> str:
        """Return the position in ``cursor``, which must match ``pattern``. Raises InvalidCursor.

        The position is signed again and compared as text: decoding the signature first would accept several spellings
        of it.
        """
        match = pattern.match(cursor)
        if not match or not cursor.isascii():
            raise InvalidCursor
        position = match[1]
        for secret in self._secrets:
            if hmac.compare_digest(_signer(secret, binding).sign(position).decode(), cursor):
                return position
        raise InvalidCursor


def _signer(secret: str, binding: tuple[object, ...]) -> Signer:
    salt = "cursor:" + json.dumps(binding, sort_keys=True)
    return Signer(secret, salt=salt, digest_method=sha256)
