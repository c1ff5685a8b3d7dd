"""nginx with the project's configuration, in front of a running service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.waiting import MAX_WAIT_SECONDS, wait_until

# Debian puts it where only administrators look.
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SITE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def site(upstream: str, port: int) -> str:
    """Return the configuration for a service at another address, on a port of this machine alone."""
    text = SITE.read_text()
    for old, new in (
        ("127.0.0.1:8000", upstream),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("listen [::]:80;", ""),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def frame(folder: Path) -> str:
    """Return the rest of the configuration, which Debian has in /etc/nginx/nginx.conf; all files are in ``folder``."""
    # Otherwise the worker would be a user without access to the folder.
    user = "user root;" if os.getuid() == 0 else ""
    places = "".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    return (
        f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; events {{}}"
        f"http {{ access_log off; {places} include {folder}/site.conf; }}"
    )


def is_listening(port: int) -> bool:
    """Return whether a connection to ``port`` succeeds."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(folder: Path, upstream: str) -> Iterator[str]:
    """Run nginx before the service at ``upstream``, and yield the address of nginx as host and port."""
    assert NGINX is not None
    port = free_port()
    (folder / "site.conf").write_text(site(upstream, port))
    (folder / "nginx.conf").write_text(frame(folder))
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([NGINX, "-p", str(folder), "-c", "nginx.conf"], stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or is_listening(port), "nginx listens")
        assert process.poll() is None, (folder / "output").read_text()
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(MAX_WAIT_SECONDS)
