"""Run the commands of a page in a shell, as its reader does, and take the ids and the tags from the answers."""

from __future__ import annotations

import re
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from tests.docs.blocks import Command

ADDRESS = "127.0.0.1:8000"
# The parts of a page that differ from run to run: an id, a word that `…` shortens, a time, and `…` alone for any text.
VARIABLE = re.compile(
    r"(?P<id>(?:(?<=id\":)|(?<=id\": )|(?<=document )|(?<=documents/)|(?<=retry: )|(?<=\[)|(?<=\[\d, ))\d+(?![\w-]))"
    r"|(?P<word>[\w-]*\w{3}…)"
    r"|(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d\.\d+)?Z)"
    r"|(?P<rest>…)"
    r"|(?P<space>\s+)"
)
GENERATION = re.compile(r"\d+-")
TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[\d:.]*Z"


class Reader(AbstractContextManager["Reader"]):
    """A shell in ``folder``, and ``values``: the ids and the words of the page with those of this service."""

    def __init__(self, folder: Path, address: str, values: dict[str, str]) -> None:
        self.folder, self.address, self.values = folder, address, dict(values)
        self._shell = subprocess.Popen(
            ["bash", "-u"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, command: Command) -> str:
        """Run a command, check its output if the page shows it, and return the output."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        print(self.adapted(command.text), "printf '\\0'", sep="", file=self._shell.stdin, flush=True)
        printed = ""
        while (character := self._shell.stdout.read(1)) != "\0":
            assert character, f"the shell ended at {command.text}"
            printed += character
        if command.output:
            self.check(command.output, printed)
        return printed

    def adapted(self, text: str) -> str:
        """Return a text of the page with the address, the ids and the words of this service."""
        own = VARIABLE.sub(lambda match: self.values.get(match[0], match[0]), text)
        return own.replace(ADDRESS, self.address)

    def check(self, expected: str, printed: str) -> None:
        """Check that an output is as the page shows it, except for white space, and learn its ids and words."""
        names: list[str] = []
        match = re.fullmatch(self._pattern(expected.strip(), names), printed.strip(), re.DOTALL)
        assert match, f"the page shows\n{expected}\nand the output is\n{printed}"
        self.values |= dict(zip(names, match.groups(), strict=True))

    def _pattern(self, expected: str, names: list[str]) -> str:
        """Return the expression for an output, with a group for each of the ``names``, which it adds."""
        pattern, end = "", 0
        for match in VARIABLE.finditer(expected):
            pattern += re.escape(expected[end : match.start()].replace(ADDRESS, self.address))
            pattern += self._part(match, names)
            end = match.end()
        return pattern + re.escape(expected[end:].replace(ADDRESS, self.address))

    def _part(self, match: re.Match[str], names: list[str]) -> str:
        text = match[0]
        if text in self.values:
            return re.escape(self.values[text])
        if text in names:
            return rf"(?:\{names.index(text) + 1})"
        if match["id"] or match["word"]:
            names.append(text)
            generation = GENERATION.match(text)
            return rf"({generation[0]}\w+)" if generation else r"(\d+)" if match["id"] else r"([\w.-]+)"
        return TIME if match["time"] else ".*?" if match["rest"] else r"\s*"

    def __exit__(self, *_: object) -> None:
        self._shell.communicate()
