"""`python -m app keys create|list|rotate|revoke`: the rules of the HTTP API, for operators with the secret."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from app.cli.key_table import state, table
from app.cli.services import open_services
from app.domain.access import SCOPES, Key
from app.domain.keys.keys import OVERLAP_SECONDS
from app.domain.resources import now
from app.errors import NotFound
from app.services import Services
from app.store.items import MAX_ID

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MAX_LIFETIME = timedelta(days=3653)  # Ten years.
OVERLAP_NAMES = dict(zip(("0", "1h", "24h", "7d"), OVERLAP_SECONDS, strict=True))


EXAMPLES = """examples:
  python -m app keys create "nightly export" --scope documents:read projects:read --expires 30d
  python -m app keys create team --scope documents:read documents:write --project 10 11 --out-of-scope hide
  python -m app keys list
  python -m app keys rotate 2 --overlap 24h
  python -m app keys revoke 2

Each verb has options of its own, with --json among them: python -m app keys VERB --help
scopes:
"""


def register(commands: Commands) -> None:
    """Add the command and its four verbs."""
    keys = commands.add_parser(
        "keys",
        help="create, list, rotate and revoke API keys",
        description="Create, list, rotate and revoke API keys. The settings are those of the service; beside a running"
        " `make run` none is needed.",
        epilog=EXAMPLES + "\n".join(f"  {scope:16} {meaning}" for scope, meaning in SCOPES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = keys.add_subparsers(required=True, metavar="VERB", title="verbs")
    _register_create(verbs)
    command = verbs.add_parser("list", help="list every key with state, limits, scopes and last use, without secrets")
    command.add_argument("--json", action="store_true", help="print one JSON array")
    command.set_defaults(command=show)
    _register_rotate(verbs)
    command = verbs.add_parser("revoke", help="revoke a key permanently, within 5 seconds everywhere")
    command.add_argument("id", type=public_id, metavar="ID", help="the key's id, as `keys list` shows it")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command=revoke)


def _register_rotate(verbs: Commands) -> None:
    command = verbs.add_parser("rotate", help="create a key's successor and show its secret once")
    command.add_argument("id", type=public_id, metavar="ID", help="the key's id, as `keys list` shows it")
    command.add_argument(
        "--overlap",
        choices=OVERLAP_NAMES,
        default="24h",
        help="how long the old key remains valid (default: 24h)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object with id and key")
    command.set_defaults(command=rotate)


def _register_create(verbs: Commands) -> None:
    command = verbs.add_parser("create", help="create a key and show its secret once")
    command.add_argument("name", metavar="NAME", help="the purpose of the key")
    command.add_argument(
        "--scope",
        nargs="+",
        action="extend",
        required=True,
        choices=sorted(SCOPES),
        metavar="SCOPE",
        help="; ".join(f"{scope}: {meaning}" for scope, meaning in SCOPES.items()),
    )
    for limit in ("project", "document"):
        command.add_argument(
            f"--{limit}",
            nargs="+",
            action="extend",
            type=public_id,
            metavar="ID",
            help=f"limit the key to these {limit}s; with both limits, to their union",
        )
    command.add_argument(
        "--out-of-scope", choices=["forbid", "hide"], help="the answer to a limited key outside its limits: 403 or 404"
    )
    command.add_argument("--expires", type=duration, metavar="TIME", help="the lifetime, such as 12h, 30d or 8w")
    command.add_argument("--json", action="store_true", help="print one JSON object with id and key")
    command.set_defaults(command=create)


def public_id(text: str) -> int:
    """Return the id of a key, project or document."""
    if not re.fullmatch("[1-9][0-9]{0,15}", text, re.ASCII) or int(text) > MAX_ID:
        raise argparse.ArgumentTypeError("an id is a whole number from 1")
    return int(text)


def duration(text: str) -> timedelta:
    """Return a duration written as a whole number and a unit: s, m, h, d or w."""
    match = re.fullmatch("([1-9][0-9]{0,8})([smhdw])", text, re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError("a time is a whole number and s, m, h, d or w, such as 30d")
    lifetime = timedelta(**{UNITS[match[2]]: int(match[1])})
    if lifetime > MAX_LIFETIME:
        raise argparse.ArgumentTypeError("at most ten years; leave it out for a key that does not expire")
    return lifetime


def create(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Create a key and print its text, which is not shown again."""
    expires_at = now() + options.expires if options.expires else None
    with open_services(environ) as services:
        _require_existing(services, options)
        key, text = services.keys.create(
            options.name,
            options.scope,
            projects=options.project,
            documents=options.document,
            out_of_scope=options.out_of_scope,
            expires_at=expires_at,
        )
    return _print_new(key, text, as_json=options.json)


def rotate(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Create a key's successor and print its text, which is not shown again."""
    overlap = OVERLAP_NAMES[options.overlap]
    with open_services(environ) as services:
        return _print_new(*services.keys.rotate(options.id, overlap), as_json=options.json)


def show(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print every key."""
    with open_services(environ) as services:
        listed = list(services.keys.all())
    if options.json:
        print(json.dumps([key.shown for key in listed], indent=2))
    elif listed:
        print("\n".join(table(listed, now())))
    else:
        print("There is no key yet: `python -m app keys create NAME --scope SCOPE` creates one.")
    return 0


def revoke(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Revoke a key and print its new state."""
    with open_services(environ) as services:
        key = services.keys.revoke(options.id)
    print(json.dumps(key.shown) if options.json else f"Key {key.id} ({key.name}) is {state(key, now())}.")
    return 0


def _print_new(key: Key, text: str, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"id": key.id, "key": text, **key.shown}))
    else:
        print(f"Key {key.id} ({key.name}), shown this once:\n{text}")
    return 0


def _require_existing(services: Services, options: argparse.Namespace) -> None:
    """Raise NotFound if the key would be limited to projects or documents that do not exist."""
    for limit, items in (("project", services.projects.items), ("document", services.documents.items)):
        ids: list[int] = getattr(options, limit) or []
        present = items.find_many(ids) if ids else {}
        if absent := [str(each) for each in dict.fromkeys(ids) if each not in present]:
            raise NotFound(f"There is no {limit} {', '.join(absent)}, so no key was created: correct --{limit}.")
