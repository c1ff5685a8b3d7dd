"""A cluster of three private CouchDB nodes on this machine; each can be paused, or killed and restarted.

The nodes are alike but for their names, which are addresses of the loopback network (Linux has all of 127.0.0.0/8). So
all of them can use one port for Erlang's distribution, and no `epmd` is needed, which would go on running (Erlang's
documentation of `erl`, -erl_epmd_port and -start_epmd).
"""

from __future__ import annotations

import os
import secrets
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from app.local_couchdb import installed
from app.local_couchdb.process import Command, Server, poll
from app.local_couchdb.settings import LocalSettings
from app.local_couchdb.wire import read, request
from proofs.process_group import ProcessGroup
from tests.ports import free_port, reserve_port

NODES = 3
# The longest time until the nodes have joined: a busy machine needs minutes to start three of them.
JOIN_SECONDS = 300.0

CONFIGURATION = """\
[couchdb]
single_node = false
[cluster]
n = 3
q = 2
[chttpd]
port = {port}
"""
# Beside those of a single node.
ARGUMENTS = """\
-name {name}
-setcookie {cookie}
-start_epmd false
-erl_epmd_port {port}
-kernel inet_dist_use_interface {address}
-kernel prevent_overlapping_partitions false
"""


class Member:
    """A node of a cluster; ``url`` contains the credentials of the administrator of all nodes."""

    def __init__(self, number: int, directory: Path, cookie: str, port: int) -> None:
        self.name = f"dream{number}@127.0.0.{number}"
        self._cookie, self._port, self._directory = cookie, port, directory / f"node{number}"
        self._processes = ProcessGroup(self._directory)
        self._reserved = reserve_port()
        self._directory.mkdir()
        (self._directory / "admin").write_text(f"admin:{cookie}")
        # The system databases exist once the nodes have joined.
        self._server = Server(self._directory, self._prepare, ready_path="/")
        self.url = self._server.url

    def stop(self) -> None:
        """Stop the node."""
        self._server.stop()
        self._reserved.close()

    def kill(self) -> None:
        """Kill all processes of the node at once, like a power loss."""
        self._processes.kill()
        poll(lambda: self._server.has_ended, JOIN_SECONDS)

    def restart(self) -> None:
        """Restart a killed node at the same URL, and wait until it answers."""
        self._server.restart()
        assert poll(lambda: read(self.url), JOIN_SECONDS), f"{self.name} did not answer"

    def paused(self) -> AbstractContextManager[None]:
        """Stop the processes: the others wait for this node until they take it for lost."""
        return self._processes.paused()

    def _prepare(self, directory: Path, _: int) -> Command:
        command = installed.prepare(LocalSettings.parse(os.environ).couchdb_home, directory, 0)
        configuration = CONFIGURATION.format(port=self._reserved.getsockname()[1])
        (directory / "cluster.ini").write_text(configuration)
        number = self.name.rpartition(".")[2]
        arguments = ARGUMENTS.format(
            name=self.name, cookie=self._cookie, port=self._port, address=f"{{127,0,0,{number}}}"
        )
        (directory / "vm.args").write_text(installed.ARGUMENTS + arguments)
        return Command([*command.arguments, str(directory / "cluster.ini")], command.environ)


class Cluster:
    """Three nodes that have joined, with three copies of each of two shards; any node answers for all."""

    def __init__(self, directory: Path) -> None:
        """Start them in subfolders of ``directory``. Raises StartError, and AssertionError if they do not join."""
        cookie, port = secrets.token_hex(16), free_port()
        with ExitStack() as starting:
            self.members: list[Member] = []
            for number in range(1, NODES + 1):
                self.members.append(Member(number, directory, cookie, port))
                starting.callback(self.members[-1].stop)
            self._join()
            self._stop = starting.pop_all()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()

    def _join(self) -> None:
        first, *others = self.members
        for other in others:
            assert request(first.url, "PUT", f"/_node/_local/_nodes/{other.name}", {})[0] == 201
        assert poll(lambda: all(self._is_complete(member) for member in self.members), JOIN_SECONDS)
        for name in ("_users", "_replicator"):
            assert request(first.url, "PUT", f"/{name}")[0] == 201
        assert poll(lambda: all(read(member.url, "/_users") for member in self.members), JOIN_SECONDS)

    @staticmethod
    def _is_complete(member: Member) -> bool:
        nodes = read(member.url, "/_membership") or {}
        return len(nodes.get("cluster_nodes", ())) == len(nodes.get("all_nodes", ())) == NODES
