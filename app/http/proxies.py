"""Proxies in front of the service, believed as far as DREAMSCRIPT_TRUSTED_PROXIES says and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.middleware.proxy_fix import ProxyFix


def trusting(hops: int, wsgi: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``wsgi`` as it answers behind ``hops`` proxies, which set scheme, host and client address."""
    return ProxyFix(wsgi, x_for=hops, x_proto=hops, x_host=hops) if hops else wsgi
