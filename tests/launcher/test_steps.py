"""Check that progress is a line that is rewritten on a terminal, and plain text anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest

from launcher.steps import CLEAR_LINE, Steps

pytestmark = pytest.mark.nodatabase


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def clock(*seconds: float) -> Iterator[float]:
    """Return these moments in turn, and then the last one."""
    yield from seconds
    while True:
        yield seconds[-1]


def steps(stream: StringIO, *seconds: float) -> Steps:
    return Steps(stream, clock(*seconds).__next__)


def test_elsewhere_a_step_has_a_plain_line_at_each_end() -> None:
    stream = StringIO()
    with steps(stream, 0, 12).step("Installing", "up to 3 minutes") as report:
        report("a detail")
    assert stream.getvalue() == "Installing (up to 3 minutes) ...\nInstalling: done (12 s)\n"


def test_elsewhere_a_quick_step_has_one_line() -> None:
    stream = StringIO()
    with steps(stream, 0, 0.5).step("Checking"):
        pass
    assert stream.getvalue() == "Checking ...\n"


def test_a_dumb_terminal_gets_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with steps(stream, 0, 5).step("Installing") as report:
        report("a detail")
    assert stream.getvalue() == "Installing ...\nInstalling: done (5 s)\n"


def test_a_terminal_shows_details_in_one_line() -> None:
    stream = Terminal()
    with steps(stream, 0, 1, 2, 3).step("Installing", "1 minute", is_ticking=False) as report:
        report("flask")
        report("a\x1b[2Jb" + "x" * 200)
    lines = stream.getvalue().split(CLEAR_LINE)
    assert lines[1:3] == ["Installing ... 1 s (1 minute)", "Installing ... 2 s: flask"]
    assert lines[3].startswith("Installing ... 3 s: a[2Jbxxx")
    assert len(lines[3]) == 59
    assert lines[4:] == ["Installing: done (3 s)\n"]


def test_a_quick_step_leaves_nothing_on_a_terminal() -> None:
    stream = Terminal()
    with steps(stream, 0).step("Checking"):
        pass
    assert stream.getvalue().endswith(CLEAR_LINE)


@pytest.mark.parametrize(("error", "outcome"), [(ValueError, "failed"), (KeyboardInterrupt, "stopped")])
@pytest.mark.parametrize("stream_type", [StringIO, Terminal])
def test_a_step_that_does_not_end_well_keeps_its_line(
    error: type[BaseException], outcome: str, stream_type: type[StringIO]
) -> None:
    stream = stream_type()
    with pytest.raises(error), steps(stream, 0).step("Installing"):
        raise error
    assert stream.getvalue().endswith(f"Installing: {outcome} (0 s)\n")
