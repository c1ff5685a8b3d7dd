"""`python -m app conflicts list|show|resolve`: the same as the HTTP API, for operators."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli import conflict_text
from app.cli.keys import public_id
from app.cli.services import open_services
from app.domain.access import SCOPES, Access
from app.domain.conflicts.conflicts import Resolution
from app.domain.conflicts.description import describe_row, describe_view, etag
from app.domain.listing.pages import ListQuery
from app.domain.resources import DOCUMENT, PROJECT
from app.errors import Conflict
from app.http import arguments, strict_json
from app.http.answers import tags_or_bare
from app.schemas.documents import NewDocumentSchema
from app.schemas.projects import NewProjectSchema
from app.services import Services
from app.store.items import Fields

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

# The rights of an operator; the principal is that of the versions that the command stores.
OPERATOR = Access(0, "operator", frozenset(SCOPES))
TYPES = {each.name: each for each in (DOCUMENT, PROJECT)}
VALUES = {DOCUMENT: NewDocumentSchema(), PROJECT: NewProjectSchema()}
ROWS_PER_READ = 100
EXAMPLES = """examples:
  python -m app conflicts list
  python -m app conflicts show document 3
  python -m app conflicts resolve document 3 --supersedes 3-d1f2… 3-0c9b… --keep 3-0c9b…
  python -m app conflicts resolve document 3 --supersedes 3-d1f2… 3-0c9b… --value new.json
"""


def register(commands: Commands) -> None:
    """Add the command and its three verbs."""
    conflicts = commands.add_parser(
        "conflicts",
        help="list, show and resolve conflicts between regions",
        description="List, show and resolve the items that were changed in two regions in ways that cannot be merged.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = conflicts.add_subparsers(required=True, metavar="VERB", title="verbs")
    command = verbs.add_parser("list", help="list the open conflicts")
    command.add_argument("--json", action="store_true", help="print one JSON array")
    command.set_defaults(command=list_all)
    command = verbs.add_parser("show", help="show the versions of an item, and how far they can be merged")
    _add_item(command)
    command.set_defaults(command=show)
    command = verbs.add_parser("resolve", help="let one version, or a new one, take the place of all")
    _add_item(command)
    command.add_argument(
        "--supersedes",
        nargs="+",
        type=tag,
        required=True,
        metavar="TAG",
        help="the tags of all versions, as `show` prints them",
    )
    choice = command.add_mutually_exclusive_group(required=True)
    choice.add_argument("--keep", type=tag, metavar="TAG", help="the tag of the version that stays")
    choice.add_argument("--value", metavar="FILE", help="a file with the members of a new version as JSON; - is stdin")
    command.set_defaults(command=resolve)


def _add_item(command: argparse.ArgumentParser) -> None:
    command.add_argument("type", choices=TYPES, help="the type of the item")
    command.add_argument("id", type=public_id, metavar="ID", help="the id of the item")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def tag(text: str) -> str:
    """Return a tag that is written with its quotes or without."""
    tags = tags_or_bare(text)
    if len(tags) != 1:
        raise argparse.ArgumentTypeError("a tag is a revision, such as 3-d1f2c6a0e7b94a5d8c3e2f1a0b9c8d7e")
    return next(iter(tags))


def list_all(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print every open conflict."""
    with open_services(environ) as services:
        rows = list(_rows(services))
    if options.json:
        print(json.dumps(rows, indent=2))
    elif rows:
        print("\n".join(conflict_text.table(rows)))
    else:
        print("There is no open conflict.")
    return 0


def show(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the versions of an item."""
    with open_services(environ) as services:
        view = describe_view(services.conflicts.show(OPERATOR, TYPES[options.type], options.id))
    if options.json:
        print(json.dumps(view, indent=2, ensure_ascii=False))
    else:
        print("\n".join(conflict_text.versions(options.type, options.id, view)))
    return 0


def resolve(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Resolve the conflict of an item, and print its new version."""
    resource_type = TYPES[options.type]
    resolution = _resolution(options)
    with open_services(environ) as services:
        try:
            item = services.conflicts.resolve(OPERATOR, resource_type, options.id, resolution)
        except Conflict as error:
            command = f"`python -m app conflicts show {options.type} {options.id}`"
            raise Conflict(error.reason.replace("GET …/conflicts", command)) from error
    if options.json:
        members = {"etag": etag(item.revision), "value": resource_type.public(item.fields)}
        print(json.dumps(members, indent=2, ensure_ascii=False))
    else:
        print(f"The conflict of {options.type} {options.id} is resolved: its version is {item.revision}.")
    return 0


def _rows(services: Services) -> Iterator[dict[str, Any]]:
    position: int | None = 0
    while position is not None:
        page = services.conflicts.list.page(OPERATOR, ListQuery(ROWS_PER_READ, position=position))
        yield from map(describe_row, page.items)
        position = page.next_position


def _resolution(options: argparse.Namespace) -> Resolution:
    """Return the resolution in the options. Raises InvalidJSON and ValidationFailed."""
    if options.keep is None:
        return Resolution(frozenset(options.supersedes), value=_value(options))
    return Resolution(frozenset((*options.supersedes, options.keep)), options.keep)


def _value(options: argparse.Namespace) -> Fields:
    content = sys.stdin.buffer.read() if options.value == "-" else Path(options.value).read_bytes()
    return arguments.load(VALUES[TYPES[options.type]], strict_json.parse(content), "")
