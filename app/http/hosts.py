"""The host by which a client names the service: any legal one, and links to it in ASCII."""

from __future__ import annotations

import re
from urllib.parse import quote

import flask
from werkzeug.utils import cached_property
from werkzeug.wsgi import get_host

# RFC 3986, section 3.2.2. Werkzeug takes no `_`, which nginx sends where an upstream's name has one.
HOST = re.compile(r"(?:[\w.~!$&'()*+,;=-]|%[0-9A-F]{2})+(?::[0-9]{0,5})?|\[[0-9A-F:.]+\](?::[0-9]{0,5})?", re.A | re.I)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Request(flask.Request):
    """A request whose URLs are URIs, where Werkzeug's are IRIs: a header cannot hold any other host."""

    @property
    def host(self) -> str:
        """The host and, unless it is the default, the port; empty if the Host header is not legal."""
        if "Host" not in self.headers:
            return get_host(self.environ)
        host = self.headers["Host"]
        if not HOST.fullmatch(host):
            return ""
        return host.removesuffix(DEFAULT_PORTS.get(self.scheme, ":")).removesuffix(":")

    @host.setter
    def host(self, value: str) -> None:
        """Ignore the host that Flask sets, which is Werkzeug's."""

    @cached_property
    def root_url(self) -> str:
        """The URL of the application's root."""
        return f"{self.scheme}://{self.host}{quote(self.root_path.rstrip('/'))}/"

    @cached_property
    def base_url(self) -> str:
        """The URL of this request without its query."""
        return self.root_url + quote(self.path.lstrip("/"))
