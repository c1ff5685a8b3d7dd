/** The versions of an item: a list, the difference of each to the current one, and a button that restores it. */
import { bare } from "../js/api.js";
import { TYPES, keyOf, titleOf } from "../js/values.js";
import { diffView } from "./diff.js";
import { h, moment } from "./dom.js";
import { countText } from "./notes.js";

/** Show the versions of an item in `root`. */
export async function versionsView(root, app, { type, id }) {
  const status = h("p", { class: "empty" }, "Loading the versions …");
  const list = h("ol", { class: "versions" });
  const more = h("button", { type: "button", hidden: true }, "Older versions");
  root.replaceChildren(status, list, more);
  if (!app.isOnline) {
    status.textContent = "Versions are kept by the service. They can be shown when there is a connection.";
    return;
  }
  let cursor = null;
  more.onclick = load;
  await load();

  async function load() {
    try {
      const page = await app.api.versions(type, id, cursor);
      cursor = page.cursor;
      const isFirst = list.children.length === 0;
      const entries = page.versions.map((version, index) =>
        entry(app, type, id, version, page.versions[index + 1], isFirst && index === 0),
      );
      list.append(...entries);
      status.textContent = list.children.length > 1 ? "" : "This is the only version.";
      status.hidden = list.children.length > 1;
      more.hidden = !cursor;
    } catch (error) {
      status.hidden = false;
      status.textContent =
        error.status === 404
          ? "This service keeps no versions of it."
          : `The versions cannot be shown: ${error.message}`;
    }
  }
}

/** Return the difference of a version to the one before it, as text. */
function changeOf(type, older, version) {
  if (version.deleted) return "deleted";
  const { text } = TYPES[type];
  return older?.value && version.value ? countText(older.value[text], version.value[text]) : "";
}

/** Return a version as a row that opens. `older` is the version before it, if it is on the same page. */
function entry(app, type, id, version, older, isCurrent) {
  const by =
    { merge: "merged by the service", null: "by an unknown writer" }[version.updated_by] ?? `by ${version.updated_by}`;
  const summary = h(
    "summary",
    {},
    moment(version.updated_at),
    h("span", { class: "by" }, isCurrent ? "current version" : by),
    h("small", {}, changeOf(type, older, version)),
  );
  const details = h(
    "details",
    { ontoggle: () => details.open && details.lastElementChild === summary && details.append(content()) },
    summary,
  );
  return h("li", { "data-etag": bare(version.etag) }, details);

  function content() {
    if (version.lost) return h("p", { class: "empty" }, "The text of this version was lost before it was stored.");
    if (version.deleted) return h("p", { class: "empty" }, "It was deleted here.");
    const { text } = TYPES[type];
    const current = app.copy.value(keyOf(type, id)) ?? {};
    const label = isCurrent ? "Changes that are not saved yet" : "From this version to the text of today";
    const renamed = titleOf(type, version.value) !== titleOf(type, current);
    return h(
      "div",
      { class: "version" },
      h("p", { class: "caption" }, label),
      renamed &&
        h("p", {}, "Title: ", h("del", {}, titleOf(type, version.value)), " ", h("ins", {}, titleOf(type, current))),
      diffView(version.value[text], current[text], label),
      !isCurrent &&
        h(
          "button",
          { type: "button", class: "primary restore", onclick: () => app.restore(type, id, version.etag) },
          "Restore this version",
        ),
    );
  }
}
