"""Check that deployments can be repeated, interrupted, run concurrently and rolled back, always as a whole."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest

from app.couch.connection import Connection, Refused
from couchapp.databases import Databases
from couchapp.deployment import Deployment, NoPreviousError, NotStagedError
from couchapp.tree import Tree
from tests.couchapp.conftest import Deploying
from tests.couchapp.trees import Killed, KilledConnection, small_tree

Rows = Callable[[], list[Any]]


def add(connection: Connection, prefix: str, name: str, colour: str) -> None:
    connection.put(f"{prefix}-documents", name, body={"colour": colour})


def names(deployment: Deployment) -> list[str]:
    """Return the names of all design documents."""
    return sorted(deployment.inventory()["documents"] or {})


def sequence(connection: Connection, name: str) -> Any:
    return connection.get(name).body["update_seq"]


def test_deploy_creates_and_secures_databases(
    connection: Connection, prefix: str, deploying: Deploying, rows: Rows
) -> None:
    deploying(small_tree()).deploy()
    security = connection.get(f"{prefix}-documents", "_security").body
    assert {group: security[group]["roles"] for group in security} == {
        "admins": ["_admin"],
        "members": ["dreamscript", "_admin"],
    }
    assert names(deploying(small_tree())) == ["listing", "validation"]
    add(connection, prefix, "a", "red")
    with pytest.raises(Refused, match="not red"):
        add(connection, prefix, "b", "blue")
    assert rows() == [1]


def test_a_second_deployment_writes_nothing(
    connection: Connection, prefix: str, deploying: Deploying, report: list[str]
) -> None:
    deploying(small_tree()).deploy()
    deploying(small_tree(2)).deploy()
    before, names_before = sequence(connection, f"{prefix}-documents"), connection.get("_all_dbs").body
    report.clear()
    deploying(small_tree(2)).deploy()
    assert report == []
    assert sequence(connection, f"{prefix}-documents") == before
    assert set(connection.get("_all_dbs").body) >= set(names_before)


def test_each_step_can_be_repeated(connection: Connection, prefix: str, deploying: Deploying, rows: Rows) -> None:
    deploying(small_tree()).deploy()
    add(connection, prefix, "a", "red")
    changed = deploying(small_tree(2, "blue"))
    for _ in range(2):
        changed.stage()
        assert names(changed) == ["listing", "staged-listing", "staged-validation", "validation"]
        changed.warm()
    assert rows() == [1]
    add(connection, prefix, "b", "red")
    for _ in range(2):
        changed.promote()
    assert rows() == [2, 2]
    with pytest.raises(Refused, match="not blue"):
        add(connection, prefix, "c", "red")
    for _ in range(2):
        changed.clean()
        assert names(changed) == ["listing", "previous-listing", "previous-validation", "validation"]
    assert changed.differences() == []


def test_a_single_deployment_does_not_start_again(deploying: Deploying, report: list[str]) -> None:
    for value in (1, 2):
        deploying(small_tree(value)).deploy()
    report.clear()
    deploying(small_tree(3)).deploy()
    assert len([line for line in report if "index built" in line]) == 1


def test_only_changes_are_staged(deploying: Deploying) -> None:
    deploying(small_tree()).deploy()
    deploying(small_tree(colour="blue")).stage()
    assert names(deploying(small_tree())) == ["listing", "staged-validation", "validation"]


def test_only_staged_changes_are_promoted(deploying: Deploying, rows: Rows) -> None:
    deploying(small_tree()).deploy()
    deploying(small_tree(2)).stage()
    with pytest.raises(NotStagedError, match="documents/_design/listing is deployed in another version: index rebuild"):
        deploying(small_tree(3)).promote()
    assert deploying(small_tree()).differences() == []
    assert rows() == []


def test_a_second_rollback_undoes_the_first(
    connection: Connection, prefix: str, deploying: Deploying, rows: Rows
) -> None:
    deploying(small_tree()).deploy()
    deploying(small_tree(2, "blue")).deploy()
    add(connection, prefix, "a", "blue")
    deploying(small_tree()).rollback()
    assert rows() == [1]
    add(connection, prefix, "b", "red")
    assert deploying(small_tree()).differences() == []
    deploying(small_tree()).rollback()
    assert rows() == [2, 2]
    add(connection, prefix, "c", "blue")
    assert deploying(small_tree(2, "blue")).differences() == []


def test_a_rollback_undoes_one_deployment_only(deploying: Deploying) -> None:
    deploying(small_tree()).deploy()
    deploying(small_tree(2)).deploy()
    deploying(small_tree(2, "blue")).deploy()
    deploying(small_tree()).rollback()
    assert deploying(small_tree(2)).differences() == []


def test_the_first_deployment_cannot_be_rolled_back(deploying: Deploying) -> None:
    deploying(small_tree()).deploy()
    with pytest.raises(NoPreviousError):
        deploying(small_tree()).rollback()


def test_unmanaged_design_documents_and_roles_stay(connection: Connection, prefix: str, deploying: Deploying) -> None:
    deploying(small_tree()).deploy()
    connection.put(f"{prefix}-documents", "_design", "theirs", body={"views": {"x": {"map": "(doc) => {}"}}})
    security = {
        "admins": {"names": ["ada"], "roles": ["_admin", "owners"]},
        "members": {"names": ["bob"], "roles": ["readers"]},
    }
    connection.put(f"{prefix}-documents", "_security", body=security)
    deploying(small_tree(2)).deploy()
    assert "theirs" in names(deploying(small_tree()))
    stored = connection.get(f"{prefix}-documents", "_security").body
    assert stored["admins"] == security["admins"]
    assert stored["members"] == {"names": ["bob"], "roles": ["dreamscript", "_admin", "readers"]}


def test_an_interrupted_deployment_is_completed_by_the_next(
    connection: Connection, server_url: str, prefix: str, deploying: Deploying, rows: Rows
) -> None:
    """Deploy two trees in turns, killed one request later each time."""
    trees = (small_tree(1, "red"), small_tree(2, "blue"))
    deploying(trees[0]).deploy()
    add(connection, prefix, "a", "red")
    for last in count(1):
        tree = trees[last % 2]
        if completes(server_url, last, partial(deploy_over, prefix, tree)):
            break
        assert rows() in ([1], [2])
        deploying(tree).deploy()
        assert deploying(tree).differences() == []
        assert names(deploying(tree)) == ["listing", "previous-listing", "previous-validation", "validation"]
    assert last > 20


def test_an_interrupted_rollback_is_completed_by_the_next(
    connection: Connection, server_url: str, prefix: str, deploying: Deploying, rows: Rows
) -> None:
    """Both design documents are always of the same version; after a complete rollback the next one undoes it."""
    trees = (small_tree(1, "red"), small_tree(2, "blue"))
    deploying(trees[0]).deploy()
    add(connection, prefix, "a", "red")
    for last in count(1):
        deploying(trees[0]).deploy()
        deploying(trees[1]).deploy()
        if completes(server_url, last, lambda killed: Deployment(killed, prefix, trees[1], ignore, grace=0).rollback()):
            break
        assert rows() in ([1], [2])
        deploying(trees[0]).rollback()
        assert [] in [deploying(tree).differences() for tree in trees]
        deploying(trees[0]).rollback()
        assert [] in [deploying(tree).differences() for tree in trees]
        assert names(deploying(trees[0])) == ["listing", "previous-listing", "previous-validation", "validation"]
    assert last > 10


def completes(server_url: str, last: int, act: Callable[[Connection], None]) -> bool:
    """Act over a connection that is killed before request ``last``; return whether the action completed before."""
    connection = KilledConnection(server_url, last)
    try:
        act(connection)
    except Killed:
        return False
    finally:
        connection.close()
    return True


def deploy_over(prefix: str, tree: Tree, connection: Connection) -> None:
    """Deploy ``tree`` over a connection of its own."""
    Deployment(connection, prefix, tree, ignore, grace=0).deploy()


def ignore(_: str) -> None:
    """Report nothing."""


@pytest.mark.parametrize("trees", [(small_tree(2),) * 4, tuple(small_tree(value) for value in range(2, 6))])
def test_concurrent_deployments_end_as_one_of_them(
    server_url: str, prefix: str, deploying: Deploying, trees: tuple[Tree, ...]
) -> None:
    deploying(small_tree()).deploy()
    failures: list[Exception] = []

    def run(tree: Tree) -> None:
        own = Connection(server_url, timeout=30)
        try:
            deploy_over(prefix, tree, own)
        except Exception as failure:
            failures.append(failure)
        finally:
            own.close()

    threads = [threading.Thread(target=run, args=[tree]) for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [] in [deploying(tree).differences() for tree in trees]
    deploying(trees[0]).deploy()
    assert "staged-listing" not in names(deploying(trees[0]))


@pytest.fixture
def member(connection: Connection, server_url: str) -> Iterator[Connection]:
    """The serving process: a user with the member role only."""
    name = f"member{secrets.token_hex(4)}"
    user = f"org.couchdb.user:{name}"
    body = {"name": name, "password": "a-word", "roles": ["dreamscript"], "type": "user"}
    revision = connection.put("_users", user, body=body).body["rev"]
    url = server_url.replace("//", f"//{name}:a-word@").replace(_credentials(server_url), "")
    opened = Connection(url, timeout=30)
    yield opened
    opened.close()
    connection.delete("_users", user, params={"rev": revision})


def _credentials(url: str) -> str:
    return f"{url.split('//')[1].rpartition('@')[0]}@"


@pytest.mark.couchdb
def test_a_member_cannot_deploy(connection: Connection, member: Connection, prefix: str, deploying: Deploying) -> None:
    deploying(small_tree()).deploy()
    name = f"{prefix}-documents"
    member.put(name, "a", body={"colour": "red"})
    assert member.get(name, "a").body["colour"] == "red"
    assert len(member.get(name, "_design", "listing", "_view", "by_id").body["rows"]) == 1
    before = Databases(connection, prefix).design_documents("documents")
    assert Databases(member, prefix).design_documents("documents") == before
    security = connection.get(name, "_security").body
    for refused in (
        lambda: member.put(name, "_design", "more", body={}),
        lambda: member.put(name, "_security", body={}),
        lambda: member.put(f"{prefix}-projects"),
        lambda: member.delete(name),
        lambda: Deployment(member, prefix, small_tree(2), ignore, grace=0).deploy(),
    ):
        with pytest.raises(Refused):
            refused()
    assert Databases(connection, prefix).design_documents("documents") == before
    assert connection.get(name, "_security").body == security
    assert Databases(connection, prefix).design_documents("projects") is None
