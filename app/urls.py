"""The forms of hosts, origins and public URLs, in requests and in settings (RFC 3986 and RFC 6454)."""

from __future__ import annotations

import re

ANY_ORIGIN = "*"
NO_ORIGIN = "off"

# RFC 3986, section 3.2.2. Werkzeug takes no `_`, which nginx sends where an upstream's name has one.
NAME = r"(?:[\w.~!$&'()*+,;=-]|%[0-9A-F]{2})+"
LITERAL = r"\[(?:[0-9A-F:.]+|v[0-9A-F]+\.[\w.~!$&'()*+,;=:-]+)\]"
HOST = re.compile(rf"(?:{NAME}|{LITERAL})(?::[0-9]*)?", re.ASCII | re.IGNORECASE)
# As browsers serialize it: in lower case, without the default port (RFC 6454, section 6.2).
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# Those that stand for themselves in a path (RFC 3986, section 3.3).
PATH_CHARACTERS = "/:@!$&'()*+,;="
PUBLIC_URL = re.compile(
    rf"(https?)://({HOST.pattern})((?:/(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-F]{{2}})*)*)", re.ASCII | re.IGNORECASE
)


def without_default_port(host: str, scheme: str) -> str:
    """Return a legal host without an empty port and without the port that ``scheme`` implies."""
    return host.removesuffix(DEFAULT_PORTS.get(scheme, ":")).removesuffix(":")


def public_url(text: str) -> str:
    """Return the URL that links begin with, without a slash at its end; empty for none. Raises ValueError."""
    parts = PUBLIC_URL.fullmatch(text)
    if parts is None:
        if not text:
            return ""
        raise ValueError(
            "the URL that clients use, such as https://api.example or https://example/api: http or https, a host in "
            "ASCII and perhaps a path, without credentials, query or fragment"
        )
    scheme, host, path = parts[1].lower(), parts[2], parts[3]
    return f"{scheme}://{without_default_port(host, scheme)}{path.rstrip('/')}"


def origins(text: str) -> tuple[str, ...]:
    """Return the origins of a comma-separated list: ``("*",)`` for all, nothing for `off`. Raises ValueError."""
    if text == NO_ORIGIN:
        return ()
    listed = tuple(part.strip() for part in text.split(","))
    if listed != (ANY_ORIGIN,) and not all(map(is_origin, listed)):
        raise ValueError(
            "*, off, or origins as browsers send them, separated by commas: https://editor.example, in lower case, "
            "without a path and without :443 or :80"
        )
    return listed


def is_origin(text: str) -> bool:
    """Return whether ``text`` is an origin in the form that browsers send in the header Origin."""
    scheme = text.partition(":")[0]
    return bool(ORIGIN.fullmatch(text)) and not text.endswith(DEFAULT_PORTS.get(scheme, " "))
