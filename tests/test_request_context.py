"""What goes with a request is there inside it, gone after it, and its own in every thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from app.request_context import current_request_id, remaining, request_context

pytestmark = pytest.mark.nodatabase


def test_outside_of_a_request_there_is_neither() -> None:
    assert current_request_id() is None
    assert remaining() is None


def test_inside_there_is_both_and_afterwards_what_was_before() -> None:
    with request_context(request_id="outer", seconds=100):
        with suppress(KeyError), request_context(request_id="inner", seconds=-1):
            assert current_request_id() == "inner"
            assert (remaining() or 0) <= -1
            raise KeyError
        assert current_request_id() == "outer"
        assert 0 < (remaining() or 0) <= 100
    assert current_request_id() is None
    assert remaining() is None


def test_a_thread_has_its_own() -> None:
    with request_context(request_id="mine", seconds=100), ThreadPoolExecutor() as threads:
        assert threads.submit(current_request_id).result() is None
