"""The files in deploy/, parsed, and the instructions of the Dockerfile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DEVELOPMENT_COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
UNIT = (DEPLOY / "dreamscript.service").read_text()
NGINX = (DEPLOY / "nginx.conf").read_text()
ENV_FILES = ("service.env.example", "admin.env.example")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments, continued lines joined and comments left out."""
    lines = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines.splitlines() if line)]


def last_stage() -> list[tuple[str, str]]:
    """Return the instructions of the stage that becomes the image."""
    return instructions()[max(at for at, (name, _) in enumerate(instructions()) if name == "FROM") :]


def environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    return dict(pair.split("=", 1) for name, text in last_stage() if name == "ENV" for pair in text.split())


def copied() -> list[tuple[str, str]]:
    """Return the sources and targets that the image copies from the project."""
    pairs = [text.split() for name, text in last_stage() if name == "COPY" and not text.startswith("--from")]
    return [(source, target) for source, target in pairs]


def variables(file: str) -> dict[str, str]:
    """Return the variables of an env file, those that are commented out included."""
    lines = (DEPLOY / file).read_text().splitlines()
    return dict(re.findall(r"^#?([A-Z][A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))


def of_kind(kind: str) -> dict[str, Any]:
    """Return the only object of Kubernetes of a kind."""
    [only] = (each for each in OBJECTS if each["kind"] == kind)
    return only


def directive(name: str) -> str:
    """Return the value of a directive that the systemd unit has once."""
    [value] = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(value)
