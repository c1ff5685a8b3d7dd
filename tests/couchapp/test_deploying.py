"""The tests deploy to new databases by a shorter way; check that the databases are as after a deployment."""

from __future__ import annotations

from app.couch.connection import Connection
from couchapp import tree
from couchapp.databases import Databases
from couchapp.tree import Document
from tests.couchapp.conftest import Deploying
from tests.deploying import deploy_new


def test_new_databases_are_as_after_a_deployment(
    server_url: str, connection: Connection, prefix: str, module_prefix: str, deploying: Deploying
) -> None:
    deploying(tree.load()).deploy()
    deploy_new(server_url, module_prefix)
    deployed, new = Databases(connection, prefix), Databases(connection, module_prefix)
    for name in tree.load():
        assert content(new.design_documents(name)) == content(deployed.design_documents(name))
        assert new.request("GET", name, "_security").body == deployed.request("GET", name, "_security").body
        assert ids(new, name) == ids(deployed, name)


def content(documents: dict[str, Document] | None) -> dict[str, Document]:
    """Return the design documents of a database without their revisions, by name."""
    return {name: {**document, "_rev": None} for name, document in (documents or {}).items()}


def ids(databases: Databases, name: str) -> list[str]:
    """Return the ids of all documents of a database."""
    return [row["id"] for row in databases.request("GET", name, "_all_docs").body["rows"]]
