"""Checks the folder of the data, before anything is installed or started."""

from __future__ import annotations

from tempfile import TemporaryFile

from couchapp.settings import CouchSettings, SettingError


def require_folder(settings: CouchSettings) -> None:
    """Create the folder of the data if it is absent. Raises SettingError unless this user may create files in it."""
    try:
        settings.var.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=settings.var):
            pass
    except OSError as error:
        raise SettingError(
            f"DREAMSCRIPT_VAR must be a folder where this user may create files, not {str(settings.var)!r}:"
            f" {error.strerror}"
        ) from error
