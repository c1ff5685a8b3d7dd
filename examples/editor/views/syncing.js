/** The state of the sync: the line in the bar, and the panel with the queue and the recent changes. */
import { TYPES, titleOf } from "../js/values.js";
import { diffView } from "./diff.js";
import { h, keepList, setText } from "./dom.js";
import { isComparable, noteText, noteTitle } from "./notes.js";

const NEEDS_KEY = "Your text is kept on this device. Enter a valid key to go on.";
const STATES = {
  none: {
    label: "No key",
    text: "Nothing is sent or received until you enter a key. Your text is kept on this device.",
  },
  connecting: { label: "Connecting", text: "The editor is looking for the service." },
  syncing: { label: "Syncing", text: "Changes are on their way." },
  online: { label: "Online", text: "Changes of others appear here as they happen." },
  offline: {
    label: "Offline",
    text: "The service cannot be reached. Write on: your changes are kept on this device and sent later.",
  },
  busy: { label: "Waiting", text: "The service asks to come back later." },
  failed: { label: "Stopped", text: "This browser could not store something." },
  refused: {
    label: "Key refused",
    text: `The service does not accept this key any more: it was revoked, or it has expired. ${NEEDS_KEY}`,
  },
  forbidden: { label: "Key too narrow", text: `This key may not read documents or projects. ${NEEDS_KEY}` },
};

/** Return `{state, label}` for the bar. While something is being stored, not everything is saved. */
export function summary({ copy, sync, isStoring }) {
  const state = sync?.state ?? "none";
  const problems = copy?.undecided().length ?? 0;
  const queued = copy?.queued().length ?? 0;
  const isSaved = state === "online" && !queued && !problems && !isStoring;
  const parts = [
    STATES[state].label,
    queued && `${queued} queued`,
    problems && `${problems} to decide`,
    isSaved && "all saved",
  ];
  return { state: problems ? "problem" : state, label: parts.filter(Boolean).join(" · ") };
}

/** Build the panel into `root`, and return the function that brings it up to date. */
export function syncView(root, app, connect) {
  const state = h("p", { class: "state", id: "sync-state" });
  const again = h("button", { type: "button", onclick: app.wake }, "Try now");
  const key = h("button", { type: "button", class: "primary", onclick: connect }, "Enter a key");
  const [decide, queue, notes] = ["decide", "queue", "notes"].map((id) => h("ul", { class: "rows", id }));
  const empty = h("p", { class: "empty" }, "Nothing is waiting.");
  const quiet = h("p", { class: "empty" }, "Nothing has happened since the first sync.");
  root.replaceChildren(
    state,
    h("div", { class: "actions" }, again, key),
    h("section", {}, h("h3", {}, "To decide"), decide),
    h("section", {}, h("h3", {}, "Queued"), empty, queue),
    h("section", {}, h("h3", {}, "What happened"), quiet, notes),
  );

  return () => {
    const [copy, sync] = [app.copy, app.sync];
    const name = sync?.state ?? "none";
    setText(state, `${STATES[name].text}${["busy", "failed"].includes(name) ? ` ${sync.reason}` : ""}`);
    again.hidden = !["offline", "busy", "failed"].includes(name);
    key.hidden = !["none", "refused", "forbidden"].includes(name);
    const [problems, queued, events] = copy ? [copy.undecided(), copy.queued(), copy.notes()] : [[], [], []];
    decide.parentElement.hidden = !problems.length;
    empty.hidden = queued.length > 0;
    quiet.hidden = events.length > 0;
    keepList(
      decide,
      problems,
      ({ key: name }) => name,
      makeRow,
      (row, edit) => updateRow(row, edit, copy, "needs you"),
    );
    keepList(
      queue,
      queued,
      ({ key: name }) => name,
      makeRow,
      (row, edit) => updateRow(row, edit, copy, VERBS[edit.op]),
    );
    keepList(
      notes,
      events,
      ({ number }) => number,
      makeNote,
      () => {},
    );
  };
}

const VERBS = { create: "new", merge: "changed", delete: "deleted" };

function makeRow({ type, id }) {
  return h("li", {}, h("a", { href: `#${type}-${id}` }, h("span", { class: "name" }), h("span", { class: "badge" })));
}

function updateRow(row, { type, key, value }, copy, badge) {
  setText(row.querySelector(".name"), titleOf(type, copy.value(key) ?? value));
  setText(row.querySelector(".badge"), badge);
}

function makeNote(note) {
  const { type, id } = note;
  const name = h("a", { href: `#${type}-${id}`, class: "name" }, noteTitle(note));
  const text = h("p", {}, noteText(note));
  if (!isComparable(note)) return h("li", {}, name, text);
  const { text: member } = TYPES[type];
  const details = h(
    "details",
    {
      ontoggle: () =>
        details.children.length < 2 &&
        details.append(diffView(note.before[member], note.after[member], "Changed lines")),
    },
    h("summary", {}, "Show the lines"),
  );
  return h("li", {}, name, text, details);
}
