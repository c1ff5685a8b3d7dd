/** An edit that could not be stored, or an item with a conflict: the reason, both sides, and the possible actions. */
import { keyOf, titleOf } from "../js/values.js";
import { conflictView } from "./conflict.js";
import { h } from "./dom.js";
import { hunksForm, wholeMerge } from "./hunks.js";
import { section } from "./section.js";

const SIDES = [
  { id: "value", label: "Yours" },
  { id: "current", label: "On the service" },
];

/** Return the function that brings the problem of the item at `place` up to date in `root`. */
export function problemView(root, app, place) {
  let shown = null;
  return () => {
    const [edit, item] = [app.copy.edit(place.key), app.copy.item(place.key)];
    const problem = edit?.problem ?? null;
    const isConflict = problem?.kind === "conflict" || (!problem && item?.conflicted);
    const state = JSON.stringify(
      isConflict ? ["conflict", item?.etag, app.isOnline] : [problem, problem && edit.value],
    );
    if (state === shown) return;
    shown = state;
    if (isConflict) conflictView(root, app, place, () => state === shown);
    else root.replaceChildren(...(problem ? [section(PROBLEMS[problem.kind](app, place, edit, item))] : []));
  };
}

const PROBLEMS = { clash, deleted, changed, refused, reservation: refused };

function clash(app, { type, id }, edit, item) {
  const heading = "You and others changed the same lines";
  if (edit.problem.isRetried) return { heading, text: "The text has changed since. It is being compared again." };
  const text =
    "Choose for each place. Everything else is merged already. Your text stays on this device until you have chosen.";
  const form = {
    type,
    merge: edit.problem.merge ?? wholeMerge(edit.base, { value: edit.value, current: item.value }),
    sides: SIDES,
    choose: (value) => app.choose(type, id, value),
    nameOf: (project) => titleOf("project", app.copy.value(keyOf("project", project))),
  };
  return { heading, text, content: hunksForm(form) };
}

function deleted(app, { type, id }) {
  return {
    heading: "Others have deleted this",
    text: "Your text is kept on this device. You can store it as a new document, or drop it.",
    content: actions({
      "Keep as a new one": () => app.keepAsNew(type, id),
      "Drop my changes": () => app.discard(type, id),
    }),
  };
}

function changed(app, { type, id }) {
  return {
    heading: "Others changed this while you deleted it",
    text: "It has not been deleted.",
    content: actions({ "Keep it": () => app.discard(type, id), "Delete it all the same": () => app.retry(type, id) }),
  };
}

function refused(app, { type, id }, { op, problem: { reason } }) {
  const [retry, discard] = [() => app.retry(type, id), () => app.discard(type, id)];
  if (op === "delete") {
    const content = actions({ "Keep it": discard, "Try again": retry });
    return { heading: "The service did not delete this", text: reason, content };
  }
  return {
    heading: "The service did not accept this change",
    text: `${reason} Your text is kept on this device.`,
    content: actions({ "Try again": retry, "Drop my changes": discard }),
  };
}

/** Return a button for each label; the first one is the suggestion. */
function actions(buttons) {
  const button = ([label, onclick], index) =>
    h("button", { type: "button", class: index ? "" : "primary", onclick }, label);
  return h("div", { class: "actions" }, Object.entries(buttons).map(button));
}
