"""Call every operation with every sort of key on own, foreign and missing items, and report each cell."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import chain, product
from typing import Any

from app import Application
from app.domain.access import SCOPES
from app.domain.keys.key_text import compose
from app.domain.keys.keys import Keys
from app.domain.resources import DOCUMENT, KEY, PROJECT, now, timestamp
from app.services import Services
from app.store.items import digits
from tests.api.conflicts import bring_versions
from tests.api.conftest import Answer, Caller
from tests.api.templates import CONDITIONS, CURSOR, LISTS, VERSION, Ids, Place, Request, Template

KINDS = {kind.name: kind for kind in (DOCUMENT, PROJECT, KEY)}
MODES = ("forbid", "hide")
# The limits of a key.
REACHES = ("project", "document")
EVERYTHING = "everything"
# The status for an item outside the limits of a key, by its place in the request and the mode.
STATUSES = {
    "path": {"forbid": 403, "hide": 404},
    "query": {"forbid": 403, "hide": 200},
    "body": {"forbid": 403, "hide": 400},
}
# A list of ids is filtered. A key with more rights than its creator is refused. Neither reveals existing items.
OTHER_STATUSES = {
    ("query", "ids"): {"forbid": 200, "hide": 200},
    ("body", "projects"): {"forbid": 403, "hide": 403},
    ("body", "documents"): {"forbid": 403, "hide": 403},
    # An operation of a batch is refused on its own.
    ("body", "id"): {"forbid": 200, "hide": 200},
}
# The statuses of operations that treat a place as no other operation does.
OWN_STATUSES = {
    # A ticket for a stream that will be empty.
    ("POST /changes/tickets", "project_id"): {"forbid": 403, "hide": 201},
}
# Operations that limited keys may not call even on their own items, since the result is outside their limits.
REFUSED = {
    ("POST /projects", "project"),
    ("POST /projects", "document"),
    ("POST /documents", "document"),
    ("POST /projects/reservations", "project"),
    ("POST /projects/reservations", "document"),
    ("POST /documents/reservations", "document"),
    ("X-COPY /projects/{project_id}", "project"),
    ("X-COPY /documents/{document_id}", "document"),
    ("POST /projects/{project_id}/copy", "project"),
    ("POST /documents/{document_id}/copy", "document"),
    # The example names no project, so it would move the document out of its own.
    ("PUT /documents/{document_id}", "document"),
    ("POST /documents/{document_id}/resolve", "document"),
}
# The ids of each type start in a block so high that no other number in an answer is mistaken for one.
FIRST_BLOCKS = {"document": 4_000_000, "project": 5_000_000, "key": 6_000_000}


@dataclass(frozen=True)
class Cell:
    """One request, and the faults of its answer."""

    question: str
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Own:
    """A client, its key with its ``limits``, and the ids inside them; ``home`` holds its documents."""

    asker: Caller
    key_id: int
    limits: Mapping[str, list[int]]
    ids: Mapping[str, list[int]]
    home: int

    def named(self, template: Template) -> Ids:
        """Return the ids that a request can name. Writes get the empty project."""
        at = {"project": 0 if template.reads else -1}
        limited = [place for place in template.places if place.where == "body" and LISTS[place.kind] in self.limits]
        places = [place for place in template.places if template.shows(place) or place in limited]
        return {p: self.ids[p.kind][at.get(p.kind, 0)] for p in places if self.ids[p.kind]}


@dataclass
class Foreign:
    """Items of another client, with ids known in advance. ``secrets`` are texts that occur only in them."""

    ids: Mapping[str, list[int]]
    marker: str = field(default_factory=lambda: secrets.token_hex(12))
    secrets: set[str] = field(default_factory=set)

    def faults(self, request: Request, answer: Answer) -> Iterator[str]:
        """Yield each detail of these items that an answer reveals beyond the request."""
        text = f"{answer.headers}{answer.text}"
        yield from (f"leak: {secret} is revealed" for secret in self.secrets if secret in text)
        unasked = {str(number) for ids in self.ids.values() for number in ids} - set(re.findall("[0-9]+", str(request)))
        yield from (f"leak: the id {number} is revealed" for number in unasked & set(re.findall("[0-9]+", text)))


@dataclass(frozen=True)
class Ask:
    """A request for items outside the limits, and the expected status."""

    request: Request
    status: int
    # The path whose tag the owner would get.
    item: str
    condition: str | None = None

    def tagged(self, tag: str) -> Request:
        """Return the request with ``tag`` in its condition, if it has one."""
        return replace(self.request, headers={self.condition: tag}) if self.condition else self.request


class World:
    """Create items and keys in one application, new ones each time."""

    def __init__(self, app: Application, ada: Caller) -> None:
        self.app, self.ada = app, ada
        services: Services = app.services
        self.store, self.keys = services.store, services.keys
        for kind, number in FIRST_BLOCKS.items():
            claim = {"_id": f"claim:{kind}:{digits(number)}", "type": "claim", "kind": kind, "number": number}
            self.store["meta"].create({**claim, "region": 0, "created_at": timestamp()})

    def own(self, mode: str, reach: str, *, conflicted: bool = False) -> Own:
        """Return a new client with two documents and two projects, or no project if it is limited to documents."""
        projects = [self.ada.new_project("Own")["id"] for _ in range(2 - (reach == "document"))]
        documents = [self.ada.new_document("Own", project_id=projects[0])["id"] for _ in range(2)]
        if conflicted:
            # Projects come first in a list of conflicts, so that a page could show no document.
            self.bring_versions([], documents)
        limits = {"project": {"projects": projects}, "document": {"documents": documents}}.get(reach, {})
        key, _ = self.keys.create("Own", SCOPES, **limits)  # type: ignore[arg-type]
        asker, text = self.keys.create("asker", SCOPES, out_of_scope=mode, **limits)  # type: ignore[arg-type]
        ids = {"project": [] if reach == "document" else projects, "document": documents, "key": [key.id]}
        return Own(Caller(self.app, text), asker.id, limits, ids, projects[0])

    def bring_versions(self, projects: Iterable[int], documents: Iterable[int]) -> None:
        """Give each item two versions that cannot be merged."""
        for kind, name, ids in (("projects", "name", projects), ("documents", "title", documents)):
            for public_id in ids:
                bring_versions(self.app.services, kind, public_id, {name: "Ours"}, {name: "Theirs"})

    def without(self, *scopes: str, **limits: Any) -> Caller:
        """Return a client with a new key of all scopes but these."""
        return Caller(self.app, self.keys.create("lacking", SCOPES.keys() - set(scopes), **limits)[1])

    def foresee(self, own: Own, template: Template) -> Foreign:
        """Predict the ids of the next foreign items, with keys only where they matter."""
        last = {"project": own.ids["project"] or [own.home], "document": own.ids["document"], "key": [own.key_id]}
        counts = {"project": 1, "document": 3 if "documents" in own.limits else 2, "key": 3 * (template.noun == "key")}
        return Foreign({kind: [last[kind][-1] + n + 1 for n in range(count)] for kind, count in counts.items()})

    def make(self, foreign: Foreign, own: Own, *, conflicted: bool = False) -> None:
        """Create a foreign project, documents in it and perhaps in the client's own, and keys with wider limits."""
        mark = foreign.marker
        project = self.ada.new_project(mark, description=mark)["id"]
        homes: list[dict[str, int]] = [{"project_id": project}, {}, {"project_id": own.home}]
        documents = [
            self.ada.new_document(mark, content=mark, **home)["id"] for home in homes[: len(foreign.ids["document"])]
        ]
        others = {"projects": project, "documents": documents[0]}
        partly: dict[str, Any] = {name: [*ids, others[name]] for name, ids in own.limits.items()}
        limits: tuple[dict[str, Any], ...] = ({"projects": [project]}, {}, partly)
        keys = [self.keys.create(mark, SCOPES, **limit)[0].id for limit in limits[: len(foreign.ids["key"])]]
        if conflicted:
            self.bring_versions([project], documents)
        made = {"project": [project], "document": documents, "key": keys}
        assert made == foreign.ids, "ids were used meanwhile: a request was refused after it had taken one"
        state = self.state(foreign)
        tags = {self.tag(f"/{LISTS[kind]}/{number}") for kind, ids in made.items() for number in ids}
        foreign.secrets |= {mark, *(document["_rev"] for document in state.values()), *(tag.strip('"') for tag in tags)}

    def state(self, foreign: Foreign) -> dict[str, dict[str, Any]]:
        """Return everything the database stores about foreign items."""
        documents: dict[str, dict[str, Any]] = {}
        for name, kind in KINDS.items():
            heads = ["key", "revocation", "retirement"] if name == "key" else [name]
            doc_ids = [f"{head}:{digits(number)}" for head in heads for number in foreign.ids[name]]
            documents |= self.store[kind.database].get_many(doc_ids)
        return documents

    def written(self) -> list[str]:
        """Return the number of writes to each database."""
        return [str(self.store[kind.database].sequence()).partition("-")[0] for kind in KINDS.values()]

    def tag(self, url: str) -> str:
        """Return the tag that an unlimited key gets; one that matches nothing if it gets none."""
        return self.ada.get(url).headers.get("ETag", '"none"')


class Matrix:
    """The requests; each method returns the cells of one operation."""

    def __init__(self, world: World, past: Keys) -> None:
        self.world = world
        self.owner = world.own("forbid", "project")
        self.dead = _dead(world, past, self.owner)
        answer = Request("GET", "/documents").send(Caller(world.app, None))
        assert answer.status_code == 401
        assert "WWW-Authenticate" in answer.headers
        self.unauthorized = essence(answer)

    def refused(self, template: Template) -> list[Cell]:
        """Call with invalid keys: all answers are equal, and nothing is written."""
        before, cells = self.world.written(), []
        for method in template.methods:
            request = template.request(self.owner.named(template), method=method)
            expected = (*self.unauthorized[:2], "" if method == "HEAD" else self.unauthorized[2])
            for reason, text in self.dead.items():
                same = essence(request.send(Caller(self.world.app, text))) == expected
                cells.append(Cell(f"{reason}: {request}", () if same else ("not the 401 of a missing key",)))
        return [*cells, self._unwritten(before)]

    def lacking(self, template: Template) -> list[Cell]:
        """Call with keys of all scopes but one, on existing and missing items."""
        scope: str = template.operation.says["x-scope"]
        scopes = {scope, *template.operation.says.get("x-other-scopes", ())}
        limited = [self.world.without(*scopes, out_of_scope=mode, **self.owner.limits) for mode in MODES]
        callers = [self.world.without(*scopes), *limited]
        before, cells, named = self.world.written(), [], self.owner.named(template)
        for method in template.methods:
            requests = [template.request(ids, method=method) for ids in (named, dict.fromkeys(named, 999))]
            first = essence(requests[0].send(callers[0]))
            for request, caller in product(requests, callers):
                answer = request.send(caller)
                alike = answer.status_code == 403 and essence(answer) == first
                cells.append(Cell(f"without {scope}: {request}", () if alike else (f"said {answer.status_code}",)))
        return [*cells, self._unwritten(before)]

    def options(self, path: str, methods: set[str]) -> list[Cell]:
        """Call OPTIONS: all keys get the same answer for all items."""
        allowed = {*methods, "OPTIONS", *({"HEAD"} if "GET" in methods else ())}
        keys, names = [*self.dead.values(), self.owner.asker.key], re.findall("{(.*_id)}", path)
        answers = [
            Request("OPTIONS", path.format(tag=VERSION, **dict.fromkeys(names, number))).send(
                Caller(self.world.app, key)
            )
            for key, number in product(keys, (999, *chain.from_iterable(self.owner.ids.values())))
        ]
        good = [answer.status_code == 204 and set(answer.headers["Allow"].split(", ")) == allowed for answer in answers]
        alike = [essence(answer) == essence(answers[0]) for answer in answers]
        return [
            Cell(f"OPTIONS {path}", () if all(fine) else ("not as others",)) for fine in zip(good, alike, strict=True)
        ]

    def beyond(self, template: Template, mode: str, reach: str) -> list[Cell]:
        """Call on a missing item, create it as a foreign one, and call again; then call on an own item."""
        own = self.world.own(mode, reach, conflicted=template.lists_conflicts)
        foreign = self.world.foresee(own, template)
        asks = list(self._asks(template, mode, own, foreign))
        absent = [essence(ask.tagged('"x"').send(own.asker)) for ask in asks]
        self.world.make(foreign, own, conflicted=template.lists_conflicts)
        state, before, cells = self.world.state(foreign), self.world.written(), []
        tags = {item: self.world.tag(item) for item in {ask.item for ask in asks if ask.condition}}
        for ask, first in zip(asks, absent, strict=True):
            tag = tags[ask.item] if ask.condition else ""
            # A page of own items alone has the same tag for every key.
            request = ask.tagged('"x"' if ("ETag", tag) in first[1] else tag)
            answer = request.send(own.asker)
            faults = [*foreign.faults(request, answer)]
            if answer.status_code != ask.status:
                faults.append(f"said {answer.status_code} instead of {ask.status}")
            if essence(answer) != first:
                faults.append(f"leak: {essence(answer)} instead of {first} as where there is nothing")
            cells.append(Cell(str(request), tuple(faults)))
        cells += [*self._others_cursor(template, own, foreign), self._unwritten(before)]
        # The mode decides how requests beyond the limits are refused, so writes within them are sent in one mode only.
        if template.reads or mode == "forbid":
            cells += self.allowed(template, mode, reach, own, foreign)
        changed = self.world.state(foreign) != state
        return [*cells, Cell("a foreign item", ("leak: it was changed",) if changed else ())]

    def allowed(
        self, template: Template, mode: str, reach: str, own: Own, foreign: Foreign | None = None
    ) -> Iterator[Cell]:
        """Call on own items, on a new one each time if the call may change or delete it."""
        foreign = foreign or Foreign({})
        for method in template.methods:
            for media_type in template.examples or [None]:
                own = own if template.reads else self.world.own(mode, reach)
                ids = own.named(template)
                if any(place.where == "path" and place not in ids for place in template.places):
                    continue
                request = self._own_version(template, template.request(ids, method=method, media_type=media_type), ids)
                yield self._allowed(template, self._conditional(template, request, own), own, reach, foreign)
                if method == "GET":
                    yield from self._variants(template, ids, own, foreign)
                if "Idempotency-Key" in template.headers:
                    yield self._repeated(template, request, self.world.own(mode, reach))

    def _allowed(self, template: Template, request: Request, own: Own, reach: str, foreign: Foreign) -> Cell:
        answer = request.send(own.asker)
        expected = 403 if (str(template.operation), reach) in REFUSED else template.success
        faults = [*foreign.faults(request, answer)]
        if answer.status_code != expected:
            faults.append(f"said {answer.status_code} instead of {expected} for an own item: {answer.text}")
        mine = own.ids.get(template.noun, []) if own.limits else []
        if request.method == "GET" and mine and not any(str(number) in answer.text for number in mine):
            faults.append(f"left out an own item: {answer.text}")
        return Cell(f"own: {request}", tuple(faults))

    def _variants(self, template: Template, ids: Ids, own: Own, foreign: Foreign) -> Iterator[Cell]:
        """Read own items with each query parameter, and again with the returned tag."""
        queries: list[tuple[Ids, dict[str, str]]] = [({}, {name: value}) for name, value in template.plain.items()]
        queries += [({p: own.ids[p.kind][0]}, {}) for p in template.places if p.where == "query" and own.ids[p.kind]]
        for more, query in [({}, {}), *queries]:
            request = self._own_version(template, template.request({**ids, **more}, query=query), ids)
            if more or query:
                yield self._allowed(template, request, own, "", foreign)
            if request.url == "/metrics":
                # Neither an item nor a page.
                continue
            again = replace(request, headers={"If-None-Match": request.send(own.asker).headers.get("ETag", "")})
            status = again.send(own.asker).status_code
            yield Cell(f"own: {again}", () if status == 304 else (f"said {status} instead of 304",))
        if template.lists and len(own.ids[template.noun]) > 1:
            url = template.request(ids, query={"limit": "1"}).send(own.asker).headers["x-next"]
            yield self._allowed(template, Request("GET", url), own, "", foreign)

    def _own_version(self, template: Template, request: Request, ids: Ids) -> Request:
        """Return the request with the own item's tag in place of VERSION; delete an item that it forgets."""
        place = next((place for place in template.places if place.where == "path"), None)
        if place is None or not any(VERSION in part for part in (request.url, str(request.body))):
            if request.method == "DELETE" and template.operation.path.endswith("/versions"):
                self.world.ada.request("DELETE", request.url.removesuffix("/versions"))
            return request
        tag = self.world.tag(f"/{LISTS[place.kind]}/{ids[place]}").strip('"')
        body = {"version": tag} if request.body else None
        return replace(request, url=request.url.replace(VERSION, tag), body=body)

    def _asks(self, template: Template, mode: str, own: Own, foreign: Foreign) -> Iterator[Ask]:
        named = own.named(template)
        conditions = (None, *CONDITIONS[:1]) if template.reads else (None, *CONDITIONS)
        for place, number, media_type in _choices(template, foreign):
            ids = {**named, place: number}
            if any(other.where == "path" and other not in ids for other in template.places):
                continue
            others = OTHER_STATUSES.get((place.where, place.name), STATUSES[place.where])
            status = OWN_STATUSES.get((str(template.operation), place.name), others)[mode]
            for method in template.methods:
                request = template.request(ids, method=method, media_type=media_type)
                request = self._tagged(template, request, place, ids)
                item = request.url if template.reads else f"/{LISTS[place.kind]}/{number}"
                for condition in conditions if method != "HEAD" else (None,):
                    # A collection has no tag that could match.
                    is_refused = condition == "If-Match" and condition not in template.headers
                    yield Ask(request, 412 if is_refused else status, item, condition)
                for header in CONDITIONS[: len(conditions) - 1] if method != "HEAD" else ():
                    starred = 304 if template.reads and status == 200 and header == "If-None-Match" else status
                    yield Ask(replace(request, headers={header: "*"}), starred, item)
        if template.plain and all(place in named for place in template.places if place.where == "path"):
            for method in template.methods:
                for query in ({}, *({name: value} for name, value in template.plain.items())):
                    request = template.request(named, method=method, query=query)
                    for condition in conditions if method == "GET" else (None,):
                        yield Ask(request, 200, request.url, condition)

    def _tagged(self, template: Template, request: Request, foreign: Place, ids: Ids) -> Request:
        """Return a request whose body names a foreign item, with the tags of the own item in its path."""
        own = next((place for place in template.places if place.where == "path"), None)
        if foreign.where != "body" or own is None:
            return request
        return request.with_tags(self.world.tag(f"/{LISTS[own.kind]}/{ids[own]}"))

    def _others_cursor(self, template: Template, own: Own, foreign: Foreign) -> Iterator[Cell]:
        named = own.named(template)
        if not template.lists or any(place.where == "path" and place not in named for place in template.places):
            return
        url = template.request(named, query={"limit": "1"}).send(self.world.ada).headers["x-next"]
        for method in template.methods:
            request = Request(method, url)
            answer = request.send(own.asker)
            faults = [*foreign.faults(request, answer)]
            if answer.status_code != 400:
                faults.append(f"leak: said {answer.status_code} instead of 400 to another's {CURSOR}")
            yield Cell(str(request), tuple(faults))

    def _conditional(self, template: Template, request: Request, own: Own) -> Request:
        """Return the request with the current tag of its item, and with a new Idempotency-Key."""
        headers = {}
        place = next((place for place in template.places if place.where == "path"), None)
        if "If-Match" in template.headers and place:
            headers["If-Match"] = self.world.tag(f"/{LISTS[place.kind]}/{own.named(template)[place]}")
            request = request.with_tags(headers["If-Match"])
        if "Idempotency-Key" in template.headers:
            headers["Idempotency-Key"] = secrets.token_hex(8)
        return replace(request, headers=headers)

    def _repeated(self, template: Template, request: Request, own: Own) -> Cell:
        """Call with the Idempotency-Key of another client: the answer must not be the stored one."""
        mine = template.request(own.named(template), media_type=request.media_type)
        mine = self._own_version(template, mine, own.named(template))
        mine = self._conditional(template, mine, own)
        other = self.world.own("forbid", EVERYTHING)
        theirs = template.request(other.named(template), media_type=request.media_type)
        theirs = self._own_version(template, theirs, other.named(template))
        theirs = self._conditional(template, theirs, other)
        used = {**theirs.headers, "Idempotency-Key": mine.headers["Idempotency-Key"]}
        first = replace(theirs, headers=used).send(self.world.ada)
        answer = mine.send(own.asker)
        alike = bool(first.text) and first.text == answer.text and answer.status_code == template.success
        return Cell(f"another's key: {mine}", ("leak: another's answer was given",) if alike else ())

    def _unwritten(self, before: list[str]) -> Cell:
        after = self.world.written()
        return Cell("nothing is written", () if after == before else (f"leak: {before} became {after}",))


def _choices(template: Template, foreign: Foreign) -> Iterator[tuple[Place, int, str | None]]:
    """Yield each place with each foreign item that it can name, and each form of the body."""
    for place in template.places:
        for number in foreign.ids[place.kind]:
            for media_type in template.examples or [None]:
                yield place, number, media_type


def _dead(world: World, past: Keys, owner: Own) -> dict[str, str | None]:
    """Return invalid keys by reason. ``past`` creates keys that have expired since."""
    malformed = f"ds_live_{'0' * 49}"
    keys: dict[str, str | None] = {"no key": None, "garbage": "YOUR_API_KEY", "malformed": malformed}
    keys["unknown"] = compose("live", secrets.token_bytes(32))
    keys["twice"] = f"{owner.asker.key},{owner.asker.key}"
    for mode in MODES:
        limits: dict[str, Any] = {**owner.limits, "out_of_scope": mode}
        revoked, keys[f"revoked, {mode}"] = world.keys.create("revoked", SCOPES, **limits)
        world.keys.revoke(revoked.id)
        rotated, keys[f"rotated, {mode}"] = world.keys.create("rotated", SCOPES, **limits)
        world.keys.rotate(rotated.id, 0)
        yesterday = now() - timedelta(days=1)
        keys[f"expired, {mode}"] = past.create("expired", SCOPES, expires_at=yesterday, **limits)[1]
    return keys


def essence(answer: Answer) -> tuple[int, list[tuple[str, str]], str]:
    """Return the parts of an answer that must be equal: all but the rate limit, the date, cursors and tickets."""
    headers = [
        (name, re.sub("[0-9]+", "#", value) if "ratelimit" in name.lower() else value)
        for name, value in answer.headers.items()
        if name != "Date"
    ]
    # A cursor of the changes is encrypted, and a ticket is new each time, so that only their lengths can be compared.
    text = re.sub('(?<="next":")[^"]+|ds_ticket_[^"]+', lambda secret: "#" * len(secret[0]), answer.text)
    return answer.status_code, sorted(headers), text
