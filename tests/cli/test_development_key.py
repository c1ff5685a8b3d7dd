"""Check that `make run` finds its development key again, and never overwrites that of another database."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.banner import DevelopmentKey
from app.cli.development_key import development_key
from app.domain.access import SCOPES
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from tests.api.conftest import deployed_settings


@pytest.fixture
def settings(server_url: str, prefix: str, tmp_path: Path) -> Settings:
    """An installation without keys, and a folder of its own."""
    return replace(deployed_settings(server_url, prefix), var=tmp_path)


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """The services of the installation."""
    with closing(build_services(settings)) as services:
        yield services


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of the key in use."""
    return tmp_path / "development-key"


def test_the_first_start_creates_a_key_with_all_scopes(settings: Settings, services: Services, file: Path) -> None:
    new = development_key(settings, services, "embedded")
    assert new == DevelopmentKey(file, file.read_text().strip())
    assert new.text
    assert new.text.startswith("ds_dev_")
    (key,) = services.keys.all()
    assert set(key.scopes) == set(SCOPES)
    for path in (file, *file.with_name("development-keys").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_later_start_finds_the_key(settings: Settings, services: Services, file: Path) -> None:
    text = development_key(settings, services, "embedded").text
    for _ in range(2):
        assert development_key(settings, services, "embedded") == DevelopmentKey(file)
        assert file.read_text().strip() == text
        file.unlink()
    assert len(list(services.keys.all())) == 1


def test_another_database_does_not_overwrite_the_key(
    settings: Settings, services: Services, file: Path, server_url: str, module_prefix: str
) -> None:
    first = development_key(settings, services, "embedded").text
    other = replace(deployed_settings(server_url, module_prefix), var=settings.var)
    with closing(build_services(other)) as others:
        second = development_key(other, others, "installed").text
        assert second
        assert second != first
        assert file.read_text().strip() == second
        assert development_key(settings, services, "embedded") == DevelopmentKey(file)
        assert file.read_text().strip() == first
        assert development_key(other, others, "installed") == DevelopmentKey(file)
        assert file.read_text().strip() == second


def test_a_key_of_an_unknown_database_is_put_aside(settings: Settings, services: Services, file: Path) -> None:
    file.write_text("ds_dev_of_an_earlier_version\n")
    assert development_key(settings, services, "embedded").text
    assert file.with_name("development-keys").joinpath("earlier").read_text() == "ds_dev_of_an_earlier_version\n"


def test_an_installation_whose_keys_are_not_stored_gets_none(
    settings: Settings, services: Services, file: Path
) -> None:
    services.keys.create("another", ["operate"])
    file.write_text("ds_dev_unknown\n")
    assert development_key(settings, services, "embedded") == DevelopmentKey(None)
    assert file.read_text() == "ds_dev_unknown\n"
