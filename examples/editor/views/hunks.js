/** A form for texts that cannot be joined: each place with all of its sides, line by line, and a choice. */
import { diffLines, linesOf } from "../js/diff.js";
import { TYPES } from "../js/values.js";
import { h, plural } from "./dom.js";
import { row } from "./diff.js";

const BOTH = "both";
/** Lines of agreed text that are shown before and after a place. */
const CONTEXT = 2;

let forms = 0;

/**
 * Return a form for a merge as the service describes it: `{member: {state, value | hunks}}`.
 *
 * `sides` are `[{id, label}]`, whose ids are those in the hunks. `choose(value)` gets the value that the person has put
 * together, and `nameOf` returns the name of a project by its id.
 */
export function hunksForm({ type, merge, sides, choose, nameOf = String }) {
  const form = `choice-${++forms}`;
  const clashes = Object.entries(merge).filter(([, { state }]) => state === "clash");
  let count = 0;
  const fields = clashes.flatMap(([member, { hunks }]) => [
    h("h3", {}, memberLabel(type, member)),
    hunks.map((hunk, index) =>
      "merged" in hunk
        ? contextOf(hunk.merged, index === 0, index === hunks.length - 1)
        : place({
            name: `${form}-${member}-${index}`,
            number: ++count,
            hunk,
            sides,
            nameOf: member === "project_id" ? nameOf : String,
          }),
    ),
  ]);
  const submit = (event) => {
    event.preventDefault();
    const data = new FormData(event.target);
    choose(valueOf(merge, (member, index) => data.get(`${form}-${member}-${index}`), sides));
  };
  const button = h("button", { class: "primary", type: "submit" }, "Save this version");
  return h("form", { class: "hunks", onsubmit: submit }, fields, h("div", { class: "actions" }, button));
}

/** Return one place where the sides differ, as a group of radio buttons. */
function place({ name, number, hunk, sides, nameOf }) {
  const option = (id, label, content = null) =>
    h(
      "label",
      { class: "side" },
      h("span", { class: "side-name" }, h("input", { type: "radio", name, value: id, required: true }), label),
      content,
    );
  const options = sides.map(({ id, label }) => option(id, label, sideLines(hunk.base, hunk.versions[id], nameOf)));
  return h(
    "fieldset",
    { class: "place" },
    h("legend", {}, `Place ${number}: which one do you want?`),
    h("div", { class: "sides" }, options),
    canBeBoth(sides.map(({ id }) => hunk.versions[id])) && option(BOTH, "Both, one after the other"),
  );
}

/** Whether two texts can stand after each other: whole lines do, titles do not. */
const canBeBoth = ([first, second, ...others]) => !others.length && Boolean(second) && String(first).endsWith("\n");

function sideLines(base, text, nameOf) {
  if (text === null) return h("p", { class: "empty" }, "Nothing: it was removed.");
  if (typeof text !== "string") return h("p", {}, nameOf(text));
  if (text === "") return h("p", { class: "empty" }, "These lines were removed.");
  const changes =
    typeof base === "string" ? diffLines(base, text) : linesOf(text).map((line) => ({ kind: "added", line }));
  return h("div", { class: "diff" }, changes.map(row));
}

function contextOf(text, isFirst, isLast) {
  const lines = linesOf(text).filter((line) => line.trim());
  if (!lines.length) return null;
  const head = isFirst ? [] : lines.slice(0, CONTEXT);
  const tail = isLast ? [] : lines.slice(Math.max(head.length, lines.length - CONTEXT));
  const hidden = lines.length - head.length - tail.length;
  const same = (line) => row({ kind: "same", line });
  const gap = hidden > 0 && h("div", { class: "gap" }, plural(hidden, "line") + " without a clash");
  return h("div", { class: "diff agreed" }, head.map(same), gap, tail.map(same));
}

/** Return the whole value that a choice gives. `chosen(member, index)` is the id of a side, or BOTH. */
export function valueOf(merge, chosen, sides) {
  const value = {};
  for (const [member, { state, value: clean, hunks }] of Object.entries(merge)) {
    const content =
      state === "clean" ? clean : joined(hunks.map((hunk, index) => partOf(hunk, chosen(member, index), sides)));
    if (content !== undefined && content !== null) value[member] = content;
  }
  return value;
}

function partOf(hunk, side, sides) {
  if ("merged" in hunk) return hunk.merged;
  return side === BOTH ? sides.map(({ id }) => hunk.versions[id] ?? "").join("") : hunk.versions[side];
}

const joined = (parts) => (parts.length === 1 ? parts[0] : parts.map((part) => part ?? "").join(""));

/** Return a merge that shows each different member as one place, for a clash that the service does not describe. */
export function wholeMerge(base, versions) {
  const members = new Set([base, ...Object.values(versions)].flatMap((value) => Object.keys(value ?? {})));
  const merge = {};
  for (const member of members) {
    const texts = Object.fromEntries(Object.entries(versions).map(([id, value]) => [id, value?.[member] ?? null]));
    const [first, ...others] = Object.values(texts);
    merge[member] = others.every((text) => text === first)
      ? { state: "clean", value: first }
      : { state: "clash", hunks: [{ base: base?.[member] ?? null, versions: texts }] };
  }
  return merge;
}

function memberLabel(type, member) {
  const { title, text, textLabel } = TYPES[type];
  return { [title]: "Title", [text]: textLabel, project_id: "Project" }[member] ?? member;
}
