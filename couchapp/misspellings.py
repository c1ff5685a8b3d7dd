"""Finds environment variables that look like misspelt settings, which would otherwise be ignored silently."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping

from couchapp.settings import Setting

PREFIXES = ("DREAMSCRIPT_", "COUCHDB_")
# Variables of the tests, proofs and benchmarks (docs/contributing.md), of CouchDB's own image and start script, and
# those that Kubernetes sets for services of these names.
OTHERS = re.compile(
    r"DREAMSCRIPT_(TEST|PROOF|BENCH)_.*|DREAMSCRIPT_WALK"
    r"|COUCHDB_(USER|PASSWORD|SECRET|ERLANG_COOKIE|ARGS_FILE|INI_FILES|VERSION)"
    r"|[A-Z_]+_(SERVICE_HOST|SERVICE_PORT\w*|PORT_[0-9]+_\w+)"
)
# How alike (difflib) the rest of a name with our prefix, or the whole of any other name, is to a setting.
MIN_LIKENESS = 0.6
MIN_FOREIGN_LIKENESS = 0.85
# The same for a program that knows only a part of the settings.
MIN_PARTIAL_LIKENESS = 0.8


def warnings(environ: Mapping[str, str], rows: Iterable[Setting], *, are_all: bool = True) -> Iterator[str]:
    """Yield a sentence for each variable that is probably a misspelt setting of ``rows``.

    If these ``are_all`` settings of the project, yield one for each other name with its prefix too.
    """
    names = [row.name for row in rows]
    for name in sorted(environ.keys() - set(names)):
        if OTHERS.fullmatch(name):
            continue
        if similar := _similar(name, names, are_all):
            yield f"{name} is not a setting and is ignored: did you mean {similar}?"
        elif are_all and name.startswith(PREFIXES[0]):
            yield f"{name} is not a setting and is ignored: `python -m app --help` lists the settings"


def _similar(name: str, names: Iterable[str], are_all: bool) -> str:
    """Return the name that is probably meant, empty if there is none."""
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
    rest = name.removeprefix(prefix).upper()
    rests = [known.removeprefix(prefix) for known in names if known.startswith(prefix) or known == rest]
    is_partial = not are_all and prefix == PREFIXES[0]
    likeness = MIN_FOREIGN_LIKENESS if not prefix else MIN_PARTIAL_LIKENESS if is_partial else MIN_LIKENESS
    similar = difflib.get_close_matches(rest, rests, 1, likeness)
    if not similar and are_all and prefix:
        # A setting with a word more at one end.
        similar = [longer for longer in rests if longer.startswith(f"{rest}_") or longer.endswith(f"_{rest}")]
    return next((known for known in names if similar and known in (prefix + similar[0], similar[0])), "")
