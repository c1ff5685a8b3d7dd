"""The actions of a model client on its own documents and projects, one at a time."""

from __future__ import annotations

from proofs.ledger import DOCUMENTS, PROJECTS, Item
from proofs.model_client import MORE, NAMES, ModelClient

# Documents beyond which a client deletes two at a time.
ENOUGH = 12


def create(client: ModelClient) -> None:
    """Create a document, in a project or in none."""
    client.make(DOCUMENTS, client.value(project_id=client.home()))


def patch(client: ModelClient) -> None:
    """Change or remove one member of a document, and read the result."""
    item = client.document()
    changed = client.patch(item, {MORE[DOCUMENTS]: client.value().get(MORE[DOCUMENTS])})
    require_there(client, changed)


def replace(client: ModelClient) -> None:
    """Replace a document, which may move it."""
    require_there(client, client.replace(client.document(), client.value(project_id=client.home())))


def replace_stale(client: ModelClient) -> None:
    """Change a document and try to replace it as it was before."""
    before = client.document()
    now = client.patch(before, {NAMES[DOCUMENTS]: client.value()[NAMES[DOCUMENTS]]})
    reply = client.requests.once("PUT", now.path, client.value(), expected=(412,), tag=before.tag)
    assert reply is None or reply.is_retryable or reply.headers["ETag"] == now.tag
    require_there(client, now)


def move(client: ModelClient) -> None:
    """Move a document into a project, or out of it."""
    client.patch(client.document(), {"project_id": client.home()})


def move_into_nothing(client: ModelClient) -> None:
    """Try to put a document, new or not, into a project that is gone."""
    if client.ledger.gone[PROJECTS]:
        item, home = client.document(), {"project_id": client.random.choice(client.ledger.gone[PROJECTS])}
        client.requests.repeated("POST", "/documents", {**client.value(), **home}, expected=(400,))
        client.requests.repeated("PATCH", item.path, home, expected=(400,))
        require_there(client, item)


def copy(client: ModelClient) -> None:
    """Copy a document."""
    item = client.document()
    client.took(DOCUMENTS, client.create("COPY", item.path, DOCUMENTS, item.value), item.value)


def delete(client: ModelClient) -> None:
    """Delete one or two documents, and one that is already deleted."""
    client.delete(client.document())
    if len(client.ledger.of(DOCUMENTS)) > ENOUGH:
        client.delete(client.document())
    if client.ledger.gone[DOCUMENTS]:
        path = f"/documents/{client.random.choice(client.ledger.gone[DOCUMENTS])}"
        client.requests.once("DELETE", path, expected=(404,))
        client.requests.repeated("PATCH", path, {}, expected=(404,))


def make_project(client: ModelClient) -> None:
    """Create a project, and a copy of one."""
    item = client.make(PROJECTS, client.value(PROJECTS))
    client.took(PROJECTS, client.create("COPY", item.path, PROJECTS, item.value), item.value)


def change_project(client: ModelClient) -> None:
    """Change a project."""
    client.patch(client.project(), client.value(PROJECTS))
    client.replace(client.project(), client.value(PROJECTS))


def delete_project(client: ModelClient) -> None:
    """Delete a project, after moving its documents out."""
    item = client.project()
    if inside := client.ledger.inside(item):
        reply = client.requests.once("DELETE", item.path, expected=(409,))
        assert reply is None or reply.is_retryable or reply.json["error"] == "project_not_empty"
        require_there(client, item)
        for document in inside:
            client.patch(document, {"project_id": None})
    client.delete(item)


def require_there(client: ModelClient, item: Item) -> None:
    """Read an item and fail unless it is as recorded."""
    reply = client.requests.read(item.path)
    assert reply.status == 200, f"{item} is gone"
    assert Item.served(item.kind, reply) == item
