"""Provides the services to commands that work on a running database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from couchapp.server_check import check_server


@contextmanager
def open_services(environ: Mapping[str, str]) -> Iterator[Services]:
    """Provide the services on a database that answers. Raises SettingError and NotCouchDB."""
    settings = Settings.read(environ)
    check_server(settings.couchdb_url, settings.couchdb_url_name)
    with closing(build_services(settings)) as services:
        yield services
