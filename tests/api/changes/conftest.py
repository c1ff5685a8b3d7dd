"""An installation with small pages for each module, and callers with limited keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app import Application
from app.domain.access import SCOPES
from app.services import Services
from app.settings import Settings
from tests.api.conftest import Caller, deployed_settings


@pytest.fixture(scope="module")
def settings(server_url: str, module_prefix: str) -> Settings:
    return deployed_settings(server_url, module_prefix, max_page_size=100)


@pytest.fixture
def limited(app: Application, services: Services) -> Callable[..., Caller]:
    """Make callers with a limited key of every scope."""

    def make(**limits: Any) -> Caller:
        return Caller(app, services.keys.create("limited", SCOPES, **limits)[1])

    return make
