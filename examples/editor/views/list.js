/** The list of projects and their documents. */
import { titleOf } from "../js/values.js";
import { h, keepList, setAttribute, setText } from "./dom.js";

/** Build the list into `root`, and return the function that brings it up to date. */
export function listView(root, app, create) {
  const groups = h("div", { class: "groups" });
  const empty = h("p", { class: "empty" });
  const buttons = h(
    "div",
    { class: "actions" },
    h(
      "button",
      { class: "primary", type: "button", id: "new-document", onclick: () => create("document") },
      "New document",
    ),
    h("button", { type: "button", id: "new-project", onclick: () => create("project") }, "New project"),
  );
  root.append(h("h2", { class: "visually-hidden" }, "Projects and documents"), buttons, empty, groups);

  return () => {
    const { copy } = app;
    const documents = copy?.list("document") ?? [];
    const projects = copy?.list("project") ?? [];
    const known = new Set(projects.map(({ id }) => id));
    const loose = documents.filter(({ value }) => !known.has(value.project_id));
    const entries = projects.map((project) => ({
      project,
      documents: documents.filter(({ value }) => value.project_id === project.id),
    }));
    if (loose.length) entries.push({ project: null, documents: loose });
    empty.hidden = entries.length > 0;
    setText(
      empty,
      app.isOnline
        ? "There is nothing here yet. Write the first document."
        : "Documents appear here after the first sync.",
    );
    keepList(
      groups,
      entries,
      ({ project }) => project?.key ?? "none",
      makeGroup,
      (group, entry) => updateGroup(group, entry, app.place?.key),
    );
  };
}

function makeGroup({ project }) {
  const heading = project
    ? h(
        "a",
        { class: "entry project", href: `#project-${project.id}` },
        h("span", { class: "name" }),
        h("span", { class: "badge" }),
      )
    : h("span", { class: "entry" }, h("span", { class: "name" }, "Without a project"));
  return h("section", {}, h("h3", {}, heading), h("ul"));
}

function updateGroup(group, { project, documents }, current) {
  if (project) updateEntry(group.querySelector("h3 > .entry"), "project", project, current);
  keepList(
    group.querySelector("ul"),
    documents,
    ({ key }) => key,
    makeDocument,
    (row, document) => updateEntry(row.firstElementChild, "document", document, current),
  );
}

function makeDocument({ id }) {
  return h(
    "li",
    {},
    h("a", { class: "entry", href: `#document-${id}` }, h("span", { class: "name" }), h("span", { class: "badge" })),
  );
}

function updateEntry(link, type, { key, value, edit, item }, current) {
  const state = stateOf(edit, item);
  setText(link.querySelector(".name"), titleOf(type, value));
  setText(link.querySelector(".badge"), { queued: "queued", problem: "needs you" }[state] ?? "");
  setAttribute(link, "data-state", state);
  setAttribute(link, "aria-current", key === current ? "page" : null);
}

/** Return saved, queued or problem. */
export function stateOf(edit, item) {
  if (edit?.problem || item?.conflicted) return "problem";
  return edit ? "queued" : "saved";
}
