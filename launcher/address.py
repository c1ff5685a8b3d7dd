"""The address that the service listens on, and whether it is free."""

from __future__ import annotations

import errno
import re
import socket
from dataclasses import dataclass

from couchapp.settings import CouchSettings, SettingError, setting


def tcp_port(text: str) -> int:
    """Return a TCP port, where 0 asks the system for a free one."""
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or int(text) > 65535:
        raise ValueError("a port, 0 to 65535")
    return int(text)


@dataclass(frozen=True)
class AddressSettings(CouchSettings):
    """The settings of the address, and those of the databases."""

    host: str = setting("DREAMSCRIPT_HOST", "127.0.0.1", "The address to listen on.")
    port: int = setting("DREAMSCRIPT_PORT", "8000", "The port to listen on.", tcp_port)

    @property
    def family(self) -> socket.AddressFamily:
        """The family of the address to listen on."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET


def free_port(settings: AddressSettings) -> int:
    """Return the port to listen on: the one that is set, or one that the system chooses for 0.

    Raises SettingError if another program has it.
    """
    try:
        with socket.create_server((settings.host, settings.port), family=settings.family) as listener:
            port: int = listener.getsockname()[1]
    except OSError as error:
        raise SettingError(_reason(settings, error)) from error
    return port


def _reason(settings: AddressSettings, error: OSError) -> str:
    """Return the reason why the address cannot be listened on, with the setting to change."""
    address = f"{settings.host}:{settings.port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"DREAMSCRIPT_PORT must be free, and another program listens on {address}: stop it, or choose another"
            f" port, as in `DREAMSCRIPT_PORT={settings.port + 1 if settings.port < 65535 else 8000} make run`"
        )
    if error.errno == errno.EACCES:
        return f"DREAMSCRIPT_PORT must be one that this user may open, from 1024 on; {address} is not"
    return f"DREAMSCRIPT_HOST must be an address of this machine, such as 127.0.0.1 or 0.0.0.0, not {settings.host!r}"
