"""The request context: set inside a request, restored after it, separate in every thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from app.request_context import current_request_id, remaining, request_context

pytestmark = pytest.mark.nodatabase


def test_outside_a_request_there_is_no_context() -> None:
    assert current_request_id() is None
    assert remaining() is None


def test_the_outer_context_is_restored_after_the_inner_one() -> None:
    with request_context(request_id="outer", seconds=100):
        with suppress(KeyError), request_context(request_id="inner", seconds=-1):
            assert current_request_id() == "inner"
            assert (remaining() or 0) <= -1
            raise KeyError
        assert current_request_id() == "outer"
        assert 0 < (remaining() or 0) <= 100
    assert current_request_id() is None
    assert remaining() is None


def test_a_new_thread_has_no_context() -> None:
    with request_context(request_id="mine", seconds=100), ThreadPoolExecutor() as threads:
        assert threads.submit(current_request_id).result() is None
