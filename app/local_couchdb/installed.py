"""An installed Apache CouchDB, run as a private node: its own port, data and administrator."""

from __future__ import annotations

import os
from pathlib import Path

from app.local_couchdb.process import Command, StartError, admin

# The packaged arguments give every node the same name, which epmd allows only once. Without a name there is no
# distribution, no epmd and no second port. The +sbwt options stop idle schedulers from busy-waiting.
ARGUMENTS = """\
-kernel error_logger silent
-sasl sasl_error_logger false
-ssl session_lifetime 300
-os_mon start_cpu_sup false
-os_mon start_memsup false
-os_mon disk_almost_full_threshold 1.0
+SDio 16
+sbwt none
+sbwtdcpu none
+sbwtdio none
+Bd
-noinput
"""

CONFIGURATION = """\
[couchdb]
single_node = true
database_dir = {directory}/data
view_index_dir = {directory}/data
uri_file = {directory}/uri
[smoosh]
state_dir = {directory}/data
[chttpd]
bind_address = 127.0.0.1
port = {port}
[httpd]
bind_address = 127.0.0.1
port = 0
[log]
writer = stderr
level = warning
[admins]
{name} = {password}
"""


def is_at(home: Path) -> bool:
    """Return whether ``home`` has a CouchDB that this user may run."""
    return os.access(home / "bin" / "couchdb", os.X_OK) and os.access(home / "etc" / "default.ini", os.R_OK)


def prepare(home: Path, directory: Path, port: int) -> Command:
    """Return the command to run the CouchDB of ``home`` with its files in ``directory``; ``port`` 0 is any free one.

    Raises StartError.
    """
    if not is_at(home):
        raise StartError(f"{home} has no Apache CouchDB that this user may run: set COUCHDB_HOME")
    name, password = admin(directory).split(":")
    ini, arguments = directory / "couchdb.ini", directory / "vm.args"
    ini.touch(0o600)
    ini.write_text(CONFIGURATION.format(directory=directory, port=port, name=name, password=password))
    arguments.write_text(ARGUMENTS)
    command = [str(home / "bin" / "couchdb"), "-couch_ini", str(home / "etc" / "default.ini"), str(ini)]
    environ = {
        "COUCHDB_ARGS_FILE": str(arguments),
        "COUCHDB_INI_FILES": "",
        "ERL_FLAGS": "",
        "ERL_CRASH_DUMP": str(directory / "erl_crash.dump"),
    }
    return Command(command, environ)
