"""The tests of the pages notice an output that differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import Command, commands
from tests.docs.reader import Reader

pytestmark = pytest.mark.nodatabase


def test_output_follows_its_command() -> None:
    console = "$ one \\\n  two\nprinted\n$ three\n"
    assert commands(console) == [Command("one \\\n  two\n", "printed\n"), Command("three\n", "")]
    shell = "one '{\n  2}' # three\n# printed\n#\n# more\nfour\n"
    assert commands(shell) == [Command("one '{\n  2}' # three\n", "printed\n\nmore\n"), Command("four\n", "")]


def test_a_reader_takes_ids_and_words_from_the_answers(tmp_path: Path) -> None:
    expected = '{"id": 3, "etag": "3-d1f2…", "at": "2026-01-01T00:00:00.000000Z"}'
    printed = '{"id":17,"etag":"3-abc","at":"2026-11-28T01:02:03.000000Z"}'
    with Reader(tmp_path, "127.0.0.1:1", {"3": "17"}) as reader:
        reader.run(Command(f"echo '{printed}'\n", expected))
        own = reader.run(Command("echo /documents/3 3-d1f2… 127.0.0.1:8000\n", ""))
    assert own == "/documents/17 3-abc 127.0.0.1:1\n"


def test_a_command_that_ends_the_shell_fails(tmp_path: Path) -> None:
    with Reader(tmp_path, "127.0.0.1:1", {}) as reader, pytest.raises(AssertionError, match="the shell ended"):
        reader.run(Command('echo "$UNKNOWN"\n', ""))


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ('{"id": 3}', '{"id":3}'),
        ('{"title": "One"}', '{"title":"Two"}'),
        ('{"title": "One"}', '{"title":"One","more":1}'),
        ('["3-d1f2…", "3-d1f2…"]', '["3-a","3-b"]'),
        ('{"etag": "3-d1f2…"}', '{"etag":"2-a"}'),
        ('{"status": 200, "etag": …}', '{"status":201,"etag":"1-a"}'),
    ],
)
def test_another_output_than_that_of_the_page_fails(tmp_path: Path, expected: str, printed: str) -> None:
    with Reader(tmp_path, "127.0.0.1:1", {"3": "17"}) as reader, pytest.raises(AssertionError, match="the page shows"):
        reader.check(expected, printed)
