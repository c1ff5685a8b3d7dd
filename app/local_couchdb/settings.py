"""The settings that choose a database server for those who have not named one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from couchapp.settings import Setting


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a parser that takes one of ``choices``."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return parse


COUCHDB_HOME = Setting(
    "COUCHDB_HOME",
    "/opt/couchdb",
    "Where Apache CouchDB is installed: the folder that holds its bin, etc and releases.",
    Path,
)
DATABASE = Setting(
    "DREAMSCRIPT_DATABASE",
    "auto",
    "What make run starts when COUCHDB_URL is not set: installed, embedded, or auto: the first there is.",
    one_of("auto", "installed", "embedded"),
)
TEST_DATABASE = Setting(
    "DREAMSCRIPT_TEST_DATABASE",
    "auto",
    "What the tests use: docker, installed, embedded, or auto: COUCHDB_URL, else the first there is.",
    one_of("auto", "docker", "installed", "embedded"),
)

SETTINGS: tuple[Setting, ...] = (COUCHDB_HOME, DATABASE, TEST_DATABASE)
