"""Random merges of up to 90 lines. With DREAMSCRIPT_PROOF_MERGES, as `make prove-merges` has it, this is the proof."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from app.domain.merging.text_merge import Clean
from tests.domain.merging.texts import check_merge, check_orders

pytestmark = pytest.mark.nodatabase

# Merges of each of the three sorts of lines.
MERGES = -(-int(os.environ.get("DREAMSCRIPT_PROOF_MERGES", "90")) // 3)
SEED = int(os.environ.get("DREAMSCRIPT_TEST_SEED", "1"))
MAX_LINES = 90

NewLine = Callable[[], str]


def unlike_lines(_: Random) -> NewLine:
    """Return lines that are all different."""
    numbers = count()
    return lambda: f"line {next(numbers)}\n"


def script_lines(random: Random) -> NewLine:
    """Return lines like those of a script: many are empty, or a bracket."""
    numbers = count()
    return lambda: random.choice(["\n", "\n", "}\n", *(f"line {next(numbers)}\n" for _ in range(4))])


def few_lines(random: Random) -> NewLine:
    """Return lines that are hardly ever new."""
    return lambda: random.choice("abcde") + "\n"


def edited(random: Random, lines: list[str], new_line: NewLine) -> str:
    """Return a text with up to 4 changes of up to 3 lines."""
    lines = list(lines)
    for _ in range(random.randint(1, 4)):
        place = random.randint(0, len(lines))
        lines[place : place + random.choice([0, 0, 1, 3])] = [new_line() for _ in range(random.choice([0, 1, 3]))]
    return "".join(lines)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("lines", [unlike_lines, script_lines, few_lines])
def test_a_random_merge_keeps_every_promise(lines: Callable[[Random], NewLine]) -> None:
    random = Random(SEED)
    clean = clean_orders = 0
    for _ in range(MERGES):
        new_line = lines(random)
        base = [new_line() for _ in range(random.randint(0, MAX_LINES))]
        one, other, third = (edited(random, base, new_line) for _ in range(3))
        clean += isinstance(check_merge("".join(base), [one, other]), Clean)
        clean_orders += check_orders("".join(base), [one, other, third])
    print(f"{lines.__name__}: {MERGES} merges, {clean} clean; of 6 orders each, {clean_orders} clean")  # noqa: T201
    assert 0 < clean < MERGES
    assert clean_orders
