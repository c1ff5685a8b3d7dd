"""Two regions on one server, which replicate when a test lets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.domain.conflicts.database_region import DatabaseRegion, two_regions


@pytest.fixture(scope="module")
def regions(
    server_url: str, module_prefix: str, second_module_prefix: str
) -> Iterator[tuple[DatabaseRegion, DatabaseRegion]]:
    """Two regions on one server."""
    with two_regions(server_url, module_prefix, second_module_prefix) as regions:
        yield regions
