"""The requests of the public guide, in order, on an empty installation, with its answers."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Caller

INTRO = {"title": "Intro script", "content": "print('Hello from Dreamscript')"}
PIPELINE = {"title": "Data processing pipeline", "content": "step1 -> step2 -> step3"}
ANALYSIS = {"title": "New analysis", "content": "step1: load data\nstep2: transform\nstep3: visualize"}
EXPERIMENTS = {"name": "Analytics experiments", "description": "Ad-hoc analysis and dashboards."}


def test_the_guide(ada: Caller) -> None:
    assert ada.get("/documents?limit=10").json == []
    for number, sent in enumerate((INTRO, PIPELINE, ANALYSIS), 1):
        created = ada.post("/documents", sent)
        expected: dict[str, Any] = {"id": number, **sent}
        assert (created.status_code, created.json) == (201, expected)
        assert list(created.json) == ["id", "title", "content"]
        assert created.headers["Location"].endswith(f"/documents/{number}")
    assert ada.get("/documents?limit=10").json == [
        {"id": 1, **INTRO},
        {"id": 2, **PIPELINE},
        {"id": 3, **ANALYSIS},
    ]
    assert ada.get("/documents/3").json == {"id": 3, **ANALYSIS}
    assert ada.get("/projects?limit=5").json == []
    assert ada.post("/projects", EXPERIMENTS).json == {"id": 1, **EXPERIMENTS}
    assert ada.get("/projects?limit=5").json == [{"id": 1, **EXPERIMENTS}]
