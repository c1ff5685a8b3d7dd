"""Key texts contain 256 random bits and a checksum that detects typing errors."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.keys.key_text import ALPHABET, compose, digest, is_well_formed

pytestmark = pytest.mark.nodatabase

RANDOM = st.binary(min_size=32, max_size=32)


@given(RANDOM)
def test_a_composed_key_is_well_formed(random: bytes) -> None:
    text = compose("live", random)
    assert re.fullmatch("ds_live_[0-9A-Za-z]{49}", text)
    assert is_well_formed(text)


@given(RANDOM, RANDOM)
def test_different_bits_make_different_keys(one: bytes, other: bytes) -> None:
    assert (compose("live", one) == compose("live", other)) == (one == other)


@given(RANDOM, st.data())
def test_one_wrong_character_is_detected(random: bytes, data: st.DataObject) -> None:
    text = compose("live", random)
    at = data.draw(st.integers(8, len(text) - 1))
    wrong = data.draw(st.sampled_from(ALPHABET.replace(text[at], "")))
    assert not is_well_formed(text[:at] + wrong + text[at + 1 :])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text.upper(),
        lambda text: text.replace("ds_", "xs_"),
        lambda text: text.replace("_live_", "_test_"),
        lambda text: text[:-1],
        lambda text: text[:-1] + "１",
    ],
)
def test_other_texts_are_refused(change: Callable[[str], str]) -> None:
    assert not is_well_formed(change(compose("live", b"\x07" * 32)))


def test_a_digest_depends_on_secret_and_text() -> None:
    assert len({digest(secret, text) for secret in "ab" for text in "xy"}) == 4
    assert re.fullmatch("[0-9a-f]{64}", digest("secret", "text"))
