"""Two regions on one server, which replicate when a test lets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.domain.conflicts.database_region import DatabaseRegion


@pytest.fixture(scope="module")
def regions(
    server_url: str, module_prefix: str, second_module_prefix: str
) -> Iterator[tuple[DatabaseRegion, DatabaseRegion]]:
    """Two regions on one server."""
    one = DatabaseRegion(server_url, module_prefix, 0)
    other = DatabaseRegion(server_url, second_module_prefix, 1)
    yield one, other
    one.close()
    other.close()
