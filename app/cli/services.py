"""Provides the services to commands that work on a running database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace

from app.domain.conflicts.arrivals import Arrivals
from app.services import Services, Shared
from app.settings import Settings
from app.wiring import build_services
from couchapp.server_check import check_server


@contextmanager
def open_services(environ: Mapping[str, str]) -> Iterator[Services]:
    """Provide the services on a database that answers. Raises SettingError and NotCouchDB.

    A command does not wait for missing revisions, since it ends before replication could bring them.
    """
    settings = Settings.read(environ)
    check_server(settings.couchdb_url, settings.couchdb_url_name)
    shared = replace(Shared.build(settings), arrivals=Arrivals(seconds=0.0))
    with closing(build_services(settings, shared=shared)) as services:
        yield services
