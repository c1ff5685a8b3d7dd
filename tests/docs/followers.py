"""The clients of docs/changes.md, in Python, in Node and in Chromium, run by a few lines that pass them a store."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.api.browser import Browser
from tests.docs.blocks import blocks
from tests.docs.programs import node_command, python_command, run

PAGE = "docs/changes.md"
PYTHON = "\n".join(blocks(PAGE, "python"))
JAVASCRIPT = "\n".join(blocks(PAGE, "js"))

Items = dict[str, Any]

PYTHON_STORE = """
import sys, threading, types
state = json.loads(sys.stdin.readline())
items = {(name.split(":")[0], int(name.split(":")[1])): value for name, value in state["items"].items()}
names = state["pass_items"]
pass_items = None if names is None else {(name.split(":")[0], int(name.split(":")[1])) for name in names}
store = types.SimpleNamespace(items=items, checkpoint=state["checkpoint"], pass_items=pass_items)

def report():
    items = {f"{type}:{id}": value for (type, id), value in store.items.copy().items()}
    names = store.pass_items
    pass_items = None if names is None else [f"{type}:{id}" for type, id in names.copy()]
    print(json.dumps({"items": items, "checkpoint": store.checkpoint, "pass_items": pass_items}), flush=True)
"""
PYTHON_FOLLOW = """
follow(*sys.argv[1:], store)
report()
"""
PYTHON_KEEP_UP = """
threading.Thread(target=keep_up, args=(*sys.argv[1:], store), daemon=True).start()
for _ in sys.stdin:
    report()
"""
NODE_FOLLOW = """
const state = JSON.parse((await import("node:fs")).readFileSync(0));
const { items, checkpoint, pass_items: passItems } = state;
const store = { items: new Map(Object.entries(items)), checkpoint, passItems: passItems && new Set(passItems) };
await follow(...process.argv.slice(1), store);
const { passItems: pass_items } = store;
console.log(JSON.stringify({ items: Object.fromEntries(store.items), checkpoint: store.checkpoint, pass_items }));
"""


@dataclass
class Store:
    """The copy that a client keeps: the items by type and id, the checkpoint, and the items of a pass so far."""

    items: Items = field(default_factory=dict)
    checkpoint: str | None = None
    pass_items: list[str] | None = None


def follow_in_python(url: str, key: str, store: Store) -> Store:
    """Run `follow` of the page in Python, and return the new store."""
    return _follow(python_command(PYTHON + PYTHON_STORE + PYTHON_FOLLOW, url, key), store)


def follow_in_node(url: str, key: str, store: Store) -> Store:
    """Run `follow` of the page in Node, and return the new store."""
    return _follow(node_command(JAVASCRIPT + NODE_FOLLOW, url, key), store)


def _follow(arguments: list[str], store: Store) -> Store:
    return Store(**json.loads(run(arguments, json.dumps(vars(store)) + "\n")))


@contextmanager
def keeping_up_in_python(url: str, key: str) -> Iterator[Callable[[], Items]]:
    """Run `keep_up` of the page in Python, and yield a function that returns its items."""
    arguments = python_command(PYTHON + PYTHON_STORE + PYTHON_KEEP_UP, url, key)
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def items() -> Items:
            assert process.stdin is not None
            assert process.stdout is not None
            print(file=process.stdin, flush=True)
            reported: Items = json.loads(process.stdout.readline())["items"]
            return reported

        print(json.dumps(vars(Store())), file=process.stdin, flush=True)
        try:
            yield items
        finally:
            process.kill()


@contextmanager
def keeping_up_in_chromium(browser: Browser, url: str, key: str) -> Iterator[Callable[[], Items]]:
    """Run `keepUp` of the page in a tab, and yield a function that returns its items."""
    tab = browser.new_tab(browser.new_profile())
    tab.evaluate(f"{JAVASCRIPT}; window.store = {{ items: new Map(), checkpoint: null, passItems: null }}; 0")
    tab.evaluate(f"keepUp({json.dumps(url)}, {json.dumps(key)}, store); 0")

    def items() -> Items:
        values: Items = tab.evaluate("Object.fromEntries(store.items)")
        return values

    try:
        yield items
    finally:
        tab.call("Page.close")
