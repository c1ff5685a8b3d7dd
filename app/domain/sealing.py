"""The keys and the encoding of encrypted cursors, which clients store but cannot read."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.errors import InvalidCursor


def derive_key(secret: str, label: bytes, length: int) -> bytes:
    """Return a key of ``length`` bytes for one purpose, which ``label`` names (HKDF, RFC 5869)."""
    return HKDF(SHA256(), length, salt=None, info=label).derive(secret.encode())


def encode(content: bytes) -> str:
    """Return ``content`` as text that a URL may contain."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(cursor: str) -> bytes:
    """Return the bytes in ``cursor``. Only one encoding of them is valid. Raises InvalidCursor."""
    try:
        content = urlsafe_b64decode(cursor.encode("ascii") + b"==")
    except ValueError as error:
        raise InvalidCursor from error
    if encode(content) != cursor:
        raise InvalidCursor
    return content
