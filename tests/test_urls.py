"""The settings that hold origins accept them only in the form that browsers send."""

from __future__ import annotations

import pytest

from app.settings import Settings
from couchapp.settings import SettingError

pytestmark = pytest.mark.nodatabase


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("*",)),
        ("*", ("*",)),
        ("off", ()),
        ("https://editor.example", ("https://editor.example",)),
        ("https://a.example, http://localhost:5173", ("https://a.example", "http://localhost:5173")),
        ("http://[::1]:8080", ("http://[::1]:8080",)),
        ("https://xn--bcher-kva.example:8443", ("https://xn--bcher-kva.example:8443",)),
        ("capacitor://localhost,chrome-extension://abcdef", ("capacitor://localhost", "chrome-extension://abcdef")),
    ],
)
def test_origins_are_a_list(text: str, expected: tuple[str, ...]) -> None:
    assert Settings.parse({"DREAMSCRIPT_CORS_ORIGINS": text}).cors_origins == expected


@pytest.mark.parametrize(
    "text",
    [
        *("editor.example", "https://editor.example/", "https://Editor.example", "https://editor.example:443"),
        *("http://a:80", "https://*.example", "*,https://a", "https://a,,https://b", "null", "https://bücher.example"),
        *("https://user@a", "https://a b", "off,https://a", "https://a:", "https://a:123456"),
    ],
)
def test_anything_that_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="DREAMSCRIPT_CORS_ORIGINS must be"):
        Settings.parse({"DREAMSCRIPT_CORS_ORIGINS": text})
