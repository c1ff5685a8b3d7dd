"""Parsing the output of wrk and files of /proc, medians, and the table."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from app.domain.resources import DOCUMENT
from bench import __main__ as bench
from bench import machine, processes
from bench.figures import Round, Side, cells, is_flat, table
from bench.processes import Stat
from bench.rows import ROWS
from bench.wrk import NUMBERED, Load, Request, WrongAnswer, is_sound, numbered, parse

pytestmark = pytest.mark.nodatabase

MEASURED = "measured requests={} seconds=2.0 connect=0 read=0 write=0 status={} timeout=0 p50=0.001 p99=0.005\n"


def test_the_output_of_wrk_is_parsed() -> None:
    load = parse("Running 2s test\n" + MEASURED.format(500, 0))
    assert (load, load.rate) == (Load(500, 2.0, 0.001, 0.005), 250)


@pytest.mark.parametrize("output", ["unable to connect", MEASURED.format(500, 1), MEASURED.format(0, 0)])
def test_a_run_with_an_error_is_rejected(output: str) -> None:
    with pytest.raises(WrongAnswer):
        parse(output)


@pytest.mark.parametrize(
    ("body", "sound"),
    [
        (b"", True),
        (b'[{"id": 1}]', True),
        (b'{"outcomes": [{"status": 201}]}', True),
        (b'{"outcomes": [{"status": 201}, {"status": 409}]}', False),
        (b'[{"ok": true}, {"error": "conflict"}]', False),
    ],
)
def test_every_write_of_a_batch_must_succeed(body: bytes, sound: bool) -> None:
    assert is_sound(body) is sound


def test_each_marked_document_gets_its_own_number() -> None:
    first, second = json.loads(numbered(json.dumps([{**NUMBERED, "a": 1}, NUMBERED])))
    assert first == {"_id": DOCUMENT.doc_id(first["id"]), "id": first["id"], "a": 1}
    assert second["id"] == first["id"] + 1


def test_a_request_is_one_line() -> None:
    assert Request("/documents", "POST", body='{"a": 1}').line == 'POST\t/documents\t\t{"a": 1}'


def test_a_name_with_spaces_and_parentheses_does_not_hide_the_times() -> None:
    text = f"7 (a) b) c) S 3 {'0 ' * 9}100 50 25 25 20 0"
    assert processes.parse_stat(text) == Stat(3, 200 / processes.TICKS)


def test_a_tree_has_all_descendants_of_its_roots() -> None:
    stats = {pid: Stat(parent, 0) for pid, parent in ((2, 1), (3, 2), (4, 3), (5, 1))}
    assert processes.tree(stats, [2, 9]) == [2, 3, 4]


def test_memory_is_read() -> None:
    text = "5583-7ffe ---p 00000000 00:00 0 [rollup]\nRss:   2048 kB\nPss:   1024 kB\nPss_Anon: 512 kB\n"
    assert processes.parse_memory(text) == processes.Memory(2, 1)


def test_this_process_can_be_looked_at() -> None:
    assert os.getpid() in processes.children(os.getppid())
    assert processes.cpu([os.getpid()]) > 0
    own = processes.memory(os.getpid())
    assert own.rss >= own.pss > 1
    assert processes.descriptors(os.getpid()).all > 2


def one(ours: int, theirs: int, pace: float = 1.0) -> Round:
    """Return a round with these speeds of the two sides."""
    service, couchdb = (Load(rate, 1.0, 1 / rate, 2 / rate) for rate in (ours, theirs))
    return Round(Side(service, 0.001 * ours, 0.002 * ours, pace), Side(couchdb, 0.0, 0.0005 * theirs))


def test_a_row_shows_the_median_of_the_ratios() -> None:
    row = cells("work", 3, [one(100, 50), one(400, 100), one(300, 100)])
    assert row == ["work", "3.00 (2.00 to 4.00)", "3", "yes", *row[4:]]
    assert row[4:] == ["300.0 / 100.0", "3.33 / 10.00", "6.67 / 20.00", "1000 + 2000", "500"]


def test_a_goal_is_not_reached_below_it_or_without_the_writes() -> None:
    assert cells("work", 3.1, [one(300, 100)])[3] == "no"
    assert cells("work", 3, [one(300, 100), one(300, 100, 0.5)])[3] == "no, 50% of the writes"
    assert cells("work", None, [one(300, 100)])[2:4] == ["–", "–"]


def test_a_table_is_aligned() -> None:
    assert table([["work", "goal"], ["a page", "3"]]) == "| work   | goal |\n|--------|------|\n| a page | 3    |"


def test_samples_that_stay_level_after_half_time_are_flat() -> None:
    assert is_flat([50, 100, 109])
    assert not is_flat([50, 100, 111])


def test_a_value_is_read_by_its_name() -> None:
    assert machine.value("MemFree: 1 kB\nMemTotal:   2048 kB\n", "MemTotal") == "2048 kB"
    assert machine.value("", "model name") == "unknown"


def test_a_report_replaces_the_previous_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "performance.md"
    file.write_text(f"Before.\n{bench.BEGIN}\n{bench.END}\nAfter.\n")
    monkeypatch.setattr(bench, "REPORT", file)
    bench.write("first")
    bench.write("second")
    assert file.read_text() == f"Before.\n{bench.BEGIN}\n\nsecond\n\n{bench.END}\nAfter.\n"


def test_the_documentation_has_a_place_for_the_report() -> None:
    assert [bench.REPORT.read_text().count(mark) for mark in (bench.BEGIN, bench.END)] == [1, 1]


def test_row_names_are_unique() -> None:
    assert len({row.work for row in ROWS}) == len(ROWS)
