"""The settings that choose a database server when none is named by COUCHDB_URL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from couchapp.settings import CouchSettings, one_of, setting


@dataclass(frozen=True)
class LocalSettings(CouchSettings):
    """The settings for starting a database server, and those of the deploy tool."""

    couchdb_home: Path = setting(
        "COUCHDB_HOME",
        "/opt/couchdb",
        "The folder of an installed Apache CouchDB, with its bin, etc and releases.",
        Path,
    )
    database: str = setting(
        "DREAMSCRIPT_DATABASE",
        "auto",
        "The server that make run starts if COUCHDB_URL is not set: installed, embedded, or auto (first available).",
        one_of("auto", "installed", "embedded"),
    )
    test_database: str = setting(
        "DREAMSCRIPT_TEST_DATABASE",
        "auto",
        "The server that the tests use: docker, installed, embedded, or auto (COUCHDB_URL, else the first available).",
        one_of("auto", "docker", "installed", "embedded"),
    )
