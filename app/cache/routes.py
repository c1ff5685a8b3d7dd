"""What a request is for that a short path may lead to, told from its path alone."""

from __future__ import annotations

import re
from typing import NamedTuple

# The short paths, with the route that the log names and the scope that is needed.
ROUTES = {
    "documents": ("/documents", "/documents/<id:document_id>", "documents:read"),
    "projects": ("/projects", "/projects/<id:project_id>", "projects:read"),
}
PATH = re.compile(r"/(documents|projects)(?:/([1-9][0-9]{0,15})(/documents)?)?", re.ASCII)


class CacheableRoute(NamedTuple):
    """What a request is for: its route, its scope, and the item's kind and id, or that of the items on a page."""

    route: str
    scope: str
    many: str
    public_id: int | None

    @classmethod
    def of(cls, path: str) -> CacheableRoute | None:
        """Return what ``path`` is for, None if it is for none of these."""
        matched = PATH.fullmatch(path)
        if matched is None:
            return None
        many, number, inside = matched.groups()
        listing, item, scope = ROUTES[many]
        if inside:
            return cls(f"{item}/documents", "documents:read", "documents", None) if many == "projects" else None
        return cls(item, scope, many, int(number)) if number else cls(listing, scope, many, None)
