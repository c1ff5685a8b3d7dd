"""The files of the offline editor: the service worker keeps all of them, and none comes from another host."""

from __future__ import annotations

import re

import pytest

from app.cli.editor_server import FOLDER

pytestmark = pytest.mark.nodatabase

MAX_LINES = 250
# The page asks for the service only when it is online, and nobody reads the pages of documentation offline.
NOT_KEPT = {"README.md", "service.json", "service-worker.js"}
FILES = {str(path.relative_to(FOLDER)): path for path in FOLDER.rglob("*") if path.is_file()}


def test_the_service_worker_keeps_every_file() -> None:
    [listed] = re.findall(r"const FILES = \[(.*?)\];", FILES["service-worker.js"].read_text(), re.DOTALL)
    names = re.findall(r'"([^"]+)"', listed)
    assert sorted(names) == sorted({*FILES} - NOT_KEPT - {"index.html"} | {"./"})


def test_the_page_admits_scripts_and_styles_of_its_own_only() -> None:
    page = FILES["index.html"].read_text()
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in page
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page) == []


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith((".js", ".css", ".html"))))
def test_a_file_is_small(name: str) -> None:
    assert len(FILES[name].read_text().splitlines()) <= MAX_LINES
