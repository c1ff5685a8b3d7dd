"""Runs the public guide through the generated Python client. It is run by the generator's Python, never imported.

The arguments are the URL of an empty installation and a key of every scope.
"""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit

from dreamscript_client import AuthenticatedClient
from dreamscript_client.api.documents import (
    batch_documents,
    copy_document,
    create_document,
    delete_document,
    get_document,
    list_documents,
    patch_document,
)
from dreamscript_client.api.projects import create_project, list_project_documents
from dreamscript_client.models import Batch, Document, DocumentPatch, NewDocument, NewProject, Operation, OperationValue
from dreamscript_client.models.operation_op import OperationOp
from dreamscript_client.types import UNSET, Unset


def main(url: str, key: str) -> None:
    """Run the guide."""
    client = AuthenticatedClient(url, key, prefix="", auth_header_name="X-API-Key")
    project = create_project.sync(client=client, body=NewProject(name="Analytics experiments"))
    for number in range(5):
        body = NewDocument(title=f"Script {number}", content="step1 -> step2", project_id=project.id)
        created = create_document.sync_detailed(client=client, body=body, idempotency_key=f"guide-{number}")
        assert created.status_code == 201
        again = create_document.sync_detailed(client=client, body=body, idempotency_key=f"guide-{number}")
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.parsed == created.parsed
    ids = walk(client, project.id)
    assert ids == sorted(set(ids))
    assert len(ids) == 5
    change(client, ids[0])
    batch(client, ids[1])
    assert len(list_project_documents.sync(project.id, client=client)) == 5


def walk(client: AuthenticatedClient, project_id: int) -> list[int]:
    """Return the ids of a project's documents, read in pages of two."""
    ids: list[int] = []
    cursor: str | Unset = UNSET
    while True:
        page = list_documents.sync_detailed(client=client, limit=2, project_id=project_id, cursor=cursor)
        ids += [document.id for document in page.parsed]
        if "x-next" not in page.headers:
            return ids
        cursor = parse_qs(urlsplit(page.headers["x-next"]).query)["cursor"][0]


def change(client: AuthenticatedClient, document_id: int) -> None:
    """Read, read again, change, lose a race, copy and delete the copy."""
    read = get_document.sync_detailed(document_id, client=client)
    tag = read.headers["ETag"]
    unchanged = get_document.sync_detailed(document_id, client=client, if_none_match=tag)
    assert (unchanged.status_code, unchanged.parsed) == (304, None)
    patch = DocumentPatch(title="Renamed", content=None)
    changed = patch_document.sync_detailed(document_id, client=client, body=patch, if_match=tag)
    assert changed.parsed == Document(document_id, "Renamed", project_id=read.parsed.project_id)
    late = patch_document.sync_detailed(document_id, client=client, body=patch, if_match=tag)
    assert (late.status_code, late.parsed.error) == (412, "precondition_failed")
    assert late.headers["ETag"] == changed.headers["ETag"]
    wrong = create_document.sync_detailed(client=client, body=NewDocument(title=""))
    assert (wrong.status_code, wrong.parsed.errors[0].location) == (400, "body.title")
    copy = copy_document.sync(document_id, client=client)
    assert (copy.title, copy.id == document_id) == ("Renamed", False)
    assert delete_document.sync_detailed(copy.id, client=client).status_code == 204
    assert get_document.sync(copy.id, client=client).error == "not_found"


def batch(client: AuthenticatedClient, document_id: int) -> None:
    """Create, delete and fail in one request."""
    value = OperationValue.from_dict(
        {"title": "Imported", "project_id": get_document.sync(document_id, client=client).project_id}
    )
    operations = [
        Operation(OperationOp.CREATE, value=value),
        Operation(OperationOp.DELETE, id=document_id),
        Operation(OperationOp.DELETE, id=document_id),
    ]
    outcomes = batch_documents.sync(client=client, body=Batch(operations)).outcomes
    assert [outcome.status for outcome in outcomes] == [201, 204, 404]
    assert outcomes[2].error == "not_found"


if __name__ == "__main__":
    main(*sys.argv[1:])
