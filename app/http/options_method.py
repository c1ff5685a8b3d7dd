"""Answers OPTIONS with the methods of a path in `Allow`; no key is needed to ask."""

from __future__ import annotations

from flask import Flask, Response, request


def install(app: Flask) -> None:
    """Replace the framework's answer, which would be an empty page of HTML."""

    def answer() -> Response:
        adapter = app.create_url_adapter(request)
        assert adapter is not None
        response = Response(status=204, headers={"Allow": ", ".join(sorted(adapter.allowed_methods()))})
        del response.headers["Content-Type"]
        return response

    app.make_default_options_response = answer  # type: ignore[method-assign]
