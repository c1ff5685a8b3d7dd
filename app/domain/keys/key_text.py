"""The text of a key: `ds_<env>_`, 43 base62 digits of 256 random bits, and 6 of a CRC-32 to detect typing errors."""

from __future__ import annotations

import hmac
import re
import string
from hashlib import sha256
from zlib import crc32

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
FORMAT = re.compile(r"(ds_[a-z0-9]{1,16}_[0-9A-Za-z]{43})([0-9A-Za-z]{6})", re.ASCII)


def compose(env: str, random: bytes) -> str:
    """Return the key text for ``env`` (lower-case letters and digits) around 32 ``random`` bytes."""
    text = f"ds_{env}_{base62(int.from_bytes(random), 43)}"
    return text + checksum(text)


def is_well_formed(text: str) -> bool:
    """Return whether ``text`` has the format and a valid checksum; this needs no lookup."""
    match = FORMAT.fullmatch(text)
    return match is not None and checksum(match[1]) == match[2]


def checksum(text: str) -> str:
    """Return the CRC-32 of ``text`` as 6 base62 digits."""
    return base62(crc32(text.encode()), 6)


def base62(number: int, width: int) -> str:
    """Return ``number`` in base 62, padded with zeros to ``width`` digits."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits.rjust(width, "0")


def digest(secret: str, text: str) -> str:
    """Return the HMAC-SHA-256 of a key under ``secret``, in hex: the only form in which it is stored.

    A fast hash is enough for 256 random bits.
    """
    return hmac.new(secret.encode(), text.encode(), sha256).hexdigest()
