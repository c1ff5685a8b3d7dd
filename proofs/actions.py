"""The actions of a model client on its own documents and projects, one at a time."""

from __future__ import annotations

from proofs.ledger import DOCUMENTS, PROJECTS, Item
from proofs.model_client import MORE, NAMES, Owner

# Documents beyond which an owner deletes two at a time.
ENOUGH = 12


def create(owner: Owner) -> None:
    """Create a document, in a project or in none."""
    owner.make(DOCUMENTS, owner.value(project_id=owner.home()))


def patch(owner: Owner) -> None:
    """Change or remove one member of a document, and read the result."""
    item = owner.document()
    changed = owner.patch(item, {MORE[DOCUMENTS]: owner.value().get(MORE[DOCUMENTS])})
    require_there(owner, changed)


def replace(owner: Owner) -> None:
    """Replace a document, which may move it."""
    require_there(owner, owner.replace(owner.document(), owner.value(project_id=owner.home())))


def replace_stale(owner: Owner) -> None:
    """Change a document and try to replace it as it was before."""
    before = owner.document()
    now = owner.patch(before, {NAMES[DOCUMENTS]: owner.value()[NAMES[DOCUMENTS]]})
    reply = owner.requests.once("PUT", now.path, owner.value(), expected=(412,), tag=before.tag)
    assert reply is None or reply.is_passing or reply.headers["ETag"] == now.tag
    require_there(owner, now)


def move(owner: Owner) -> None:
    """Move a document into a project, or out of it."""
    owner.patch(owner.document(), {"project_id": owner.home()})


def move_into_nothing(owner: Owner) -> None:
    """Try to put a document, new or not, into a project that is gone."""
    if owner.ledger.gone[PROJECTS]:
        item, home = owner.document(), {"project_id": owner.random.choice(owner.ledger.gone[PROJECTS])}
        owner.requests.repeated("POST", "/documents", {**owner.value(), **home}, expected=(400,))
        owner.requests.repeated("PATCH", item.path, home, expected=(400,))
        require_there(owner, item)


def copy(owner: Owner) -> None:
    """Copy a document."""
    item = owner.document()
    owner.took(DOCUMENTS, owner.requests.repeated("COPY", item.path, expected=(201,)), item.value)


def delete(owner: Owner) -> None:
    """Delete one or two documents, and one that is already deleted."""
    owner.delete(owner.document())
    if len(owner.ledger.of(DOCUMENTS)) > ENOUGH:
        owner.delete(owner.document())
    if owner.ledger.gone[DOCUMENTS]:
        path = f"/documents/{owner.random.choice(owner.ledger.gone[DOCUMENTS])}"
        owner.requests.once("DELETE", path, expected=(404,))
        owner.requests.repeated("PATCH", path, {}, expected=(404,))


def make_project(owner: Owner) -> None:
    """Create a project, and a copy of one."""
    item = owner.make(PROJECTS, owner.value(PROJECTS))
    owner.took(PROJECTS, owner.requests.repeated("COPY", item.path, expected=(201,)), item.value)


def change_project(owner: Owner) -> None:
    """Change a project."""
    owner.patch(owner.project(), owner.value(PROJECTS))
    owner.replace(owner.project(), owner.value(PROJECTS))


def delete_project(owner: Owner) -> None:
    """Delete a project, after moving its documents out."""
    item = owner.project()
    if inside := owner.ledger.inside(item):
        reply = owner.requests.once("DELETE", item.path, expected=(409,))
        assert reply is None or reply.is_passing or reply.json["error"] == "project_not_empty"
        require_there(owner, item)
        for document in inside:
            owner.patch(document, {"project_id": None})
    owner.delete(item)


def require_there(owner: Owner, item: Item) -> None:
    """Read an item and fail unless it is as recorded."""
    reply = owner.requests.read(item.path)
    assert reply.status == 200, f"{item} is gone"
    assert Item.served(item.kind, reply) == item
