"""The actions of clients in a shared project: add documents, remove them, and delete the project."""

from __future__ import annotations

from app.errors import OutcomeUnknown
from proofs.actions import require_there
from proofs.campaign import REPEATS
from proofs.ledger import DOCUMENTS, PROJECTS, Item
from proofs.model_client import ModelClient
from proofs.service import Reply

# The error codes of a project that is deleted, or about to be.
REFUSALS = {(400, "validation_failed"), (409, "conflict")}


def fill(client: ModelClient) -> None:
    """Put documents into the project, and remove them again. While acknowledged ones are in it, the project exists."""
    home = client.shared.current
    act = client.random.choice((create_inside, move_inside, batch_inside))
    arrived = act(client, home)
    for item in list(arrived):
        require_there(client, item)
        assert client.requests.read(home.path).status == 200, f"{home.path} is gone, and {item} is in it"
        arrived += copy_inside(client, home, item) if client.random.random() < 0.5 else []
    for item in arrived:
        remove(client, item)


def create_inside(client: ModelClient, home: Item) -> list[Item]:
    """Create a document in the project ``home``."""
    value = client.value(project_id=home.public_id)
    reply = client.requests.repeated("POST", "/documents", value, expected=(201, 400, 409))
    if reply.is_unknown:
        client.ledger.doubt(DOCUMENTS, value)
        return []
    return [client.took(DOCUMENTS, reply, value)] if is_accepted(client, home, reply) else []


def move_inside(client: ModelClient, home: Item) -> list[Item]:
    """Move a document into the project ``home``; a refused one is unchanged."""
    item, moved = client.document(), {"project_id": home.public_id}
    reply = client.requests.repeated("PATCH", item.path, moved, expected=(200, 400, 409), tag=client.tag(item))
    if reply.is_unknown:
        return resolve_move(client, item, moved)
    if is_accepted(client, home, reply):
        return [client.took(DOCUMENTS, reply, {**item.value, **moved})]
    keep_as_it_was(client, item)
    return []


def copy_inside(client: ModelClient, home: Item, item: Item) -> list[Item]:
    """Copy a document of the project ``home``."""
    reply = client.requests.repeated("COPY", item.path, expected=(201, 400, 409))
    if reply.is_unknown:
        client.ledger.doubt(DOCUMENTS, item.value)
        return []
    return [client.took(DOCUMENTS, reply, item.value)] if is_accepted(client, home, reply) else []


def batch_inside(client: ModelClient, home: Item) -> list[Item]:
    """Create a document in the project and move another into it, in one request; either may be refused."""
    item, moved, value = client.document(), {"project_id": home.public_id}, client.value(project_id=home.public_id)
    operations = [{"op": "create", "value": value}, {"op": "patch", "id": item.public_id, "value": moved}]
    reply = client.requests.repeated("POST", "/documents/batch", {"operations": operations}, expected=(200,))
    arrived = []
    created, patched = reply.json["outcomes"]
    if created["status"] == 201:
        arrived.append(client.ledger.keep(Item(DOCUMENTS, created["id"], value, created["etag"])))
    elif is_unknown(client, created):
        client.ledger.doubt(DOCUMENTS, value)
    else:
        require_refused(client, home, created)
    if patched["status"] == 200:
        arrived.append(client.ledger.keep(Item(DOCUMENTS, item.public_id, {**item.value, **moved}, patched["etag"])))
    elif is_unknown(client, patched):
        arrived += resolve_move(client, item, moved)
    else:
        require_refused(client, home, patched)
        keep_as_it_was(client, item)
    return arrived


def is_unknown(client: ModelClient, outcome: dict[str, object]) -> bool:
    """Return whether the outcome of a step is unknown, and count it."""
    client.answered["unknown"] += outcome.get("error") == OutcomeUnknown.code
    return outcome.get("error") == OutcomeUnknown.code


def resolve_move(client: ModelClient, item: Item, moved: dict[str, int]) -> list[Item]:
    """Find out by reading whether a document was moved. Returns it if it was."""
    stored = client.resolve(item, {**item.value, **moved})
    return [stored] if stored.project_id == moved["project_id"] else []


def is_accepted(client: ModelClient, home: Item, reply: Reply) -> bool:
    """Return whether a document is in the project now; if not, another client must be deleting the project."""
    if reply.status < 300:
        return True
    require_refused(client, home, {"status": reply.status, **reply.json})
    return False


def require_refused(client: ModelClient, home: Item, error: dict[str, object]) -> None:
    """Fail unless the reason of a refusal is a deletion of the project."""
    assert (error["status"], error["error"]) in REFUSALS, error
    client.shared.require_deletion_begun(home)
    client.answered["refused"] += 1


def keep_as_it_was(client: ModelClient, item: Item) -> None:
    """Read a document that was not moved, or that was moved back, which is a revision of its own."""
    stored = Item.served(DOCUMENTS, client.requests.read(item.path))
    assert stored.value == item.value, f"{stored} instead of {item}"
    client.ledger.keep(stored)


def remove(client: ModelClient, item: Item) -> None:
    """Move a document out of the project, or delete it."""
    way = client.random.choice(("patch", "replace", "delete"))
    remaining = client.delete(item) if way == "delete" else item
    if way == "replace":
        remaining = client.replace(item, client.value())
    if remaining is not None and remaining.project_id == item.project_id:
        client.patch(remaining, {"project_id": None})


def replace_project(client: ModelClient) -> None:
    """Delete the project if it is empty, and create another one in its place."""
    home = client.shared.current
    client.shared.begin_deletion(home)
    if is_deleted(client, home):
        client.answered["projects replaced"] += 1
        if client.shared.end_deletion(home):
            value = client.value(PROJECTS)
            made = client.create("POST", "/projects", PROJECTS, value, value)
            client.shared.replace(Item(PROJECTS, made.json["id"], value, made.headers["ETag"]))


def is_deleted(client: ModelClient, project: Item) -> bool:
    """Delete a project that others may be deleting too. Returns whether it is gone."""
    reply = client.requests.once("DELETE", project.path, expected=(204, 404, 409))
    if reply is not None and not reply.is_retryable:
        assert reply.status != 409 or reply.json["error"] in ("project_not_empty", "conflict")
        return reply.status != 409
    for _ in range(REPEATS):
        reply = client.requests.read(project.path)
        if reply.status == 404:
            return True
        # A patch without changes supersedes a write that is still in flight, and removes the mark.
        tag = reply.headers["ETag"]
        fence = client.requests.repeated("PATCH", project.path, {}, expected=(200, 404, 412), tag=tag)
        if fence.status == 200:
            return False
    raise AssertionError(f"{project.path} is never stable")
