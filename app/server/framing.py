"""Decides whether a request's head could be misread by another recipient (RFC 9112)."""

from __future__ import annotations

import httptools

CHECKED_FIELDS = frozenset({b"host", b"transfer-encoding", b"expect", b"content-length"})


def is_unambiguous(version: str, fields: list[tuple[bytes, bytes]]) -> bool:
    """Return whether every recipient would agree on host and framing (sections 3.2 and 6)."""
    hosts = sum(name == b"host" for name, _ in fields)
    if version not in ("1.0", "1.1") or hosts > 1 or (version == "1.1" and hosts == 0):
        return False
    for name, value in fields:
        if name == b"expect" and value.lower() != b"100-continue":
            return False
        if name == b"transfer-encoding" and (value.lower() != b"chunked" or version == "1.0"):
            return False
    return True


def origin_form(target: bytes, fields: list[tuple[bytes, bytes]]) -> bytes:
    """Return the path and query of a request target (section 3.2). Raises HttpParserError.

    The host of an absolute target replaces the one in ``fields`` (section 3.2.2).
    """
    if target.startswith(b"/") or target == b"*":
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise httptools.HttpParserError("unknown form of target")
    end = min((at for at in map(rest.find, (b"/", b"?", b"#")) if at >= 0), default=len(rest))
    fields[:] = [*(field for field in fields if field[0] != b"host"), (b"host", rest[:end])]
    return rest[end:] if rest[end : end + 1] == b"/" else b"/" + rest[end:]


def without_upgrade(line: tuple[bytes, bytes, bytes], fields: list[tuple[bytes, bytes]]) -> bytes:
    """Return a head of method, target, version and fields as bytes, without the offer to change the protocol."""
    others = [b"%b: %b\r\n" % field for field in fields if field[0] != b"upgrade"]
    return b"%b %b HTTP/%b\r\n%b\r\n" % (*line, b"".join(others))
