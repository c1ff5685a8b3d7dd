/** An edit that could not be stored, or an item with a conflict: the reason, both sides, and the ways out. */
import { keyOf } from "../js/values.js";
import { conflictView } from "./conflict.js";
import { h } from "./dom.js";
import { hunksForm, wholeMerge } from "./hunks.js";
import { titleOf } from "../js/values.js";

const SIDES = [
  { id: "value", label: "Yours" },
  { id: "current", label: "On the service" },
];

/** Return the function that brings the problem of an item up to date in `root`. */
export function problemView(root, context, type, id) {
  let shown = null;
  return () => {
    const copy = context.getCopy();
    const edit = copy.edit(keyOf(type, id));
    const item = copy.item(keyOf(type, id));
    const problem = edit?.problem ?? null;
    const isConflict = problem?.kind === "conflict" || (!problem && item?.conflicted);
    const state = JSON.stringify(
      isConflict ? ["conflict", item?.etag, context.isOnline()] : [problem, problem && edit.value],
    );
    if (state === shown) return;
    shown = state;
    if (isConflict) conflictView(root, context, type, id);
    else root.replaceChildren(...(problem ? [section(context, type, id, item, edit)] : []));
  };
}

function section(context, type, id, item, edit) {
  const { heading, text, content } = PROBLEMS[edit.problem.kind]({ context, type, id, item, edit });
  return h(
    "section",
    { class: "problem", role: "region", "aria-label": heading },
    h("h2", {}, heading),
    h("p", {}, text),
    content,
  );
}

const PROBLEMS = {
  clash({ context, type, id, item, edit }) {
    const heading = "You and others changed the same lines";
    if (edit.problem.isRetried) return { heading, text: "The text has changed since. It is being compared again." };
    const merge = edit.problem.merge ?? wholeMerge(edit.base, { value: edit.value, current: item.value });
    const choose = (value) => context.store(() => context.getCopy().choose(type, id, value)).then(context.wake);
    const nameOf = (project) => titleOf("project", context.getCopy().value(keyOf("project", project)));
    const text =
      "Choose for each place. Everything else is merged already. Your text stays on this device until you have chosen.";
    return { heading, text, content: hunksForm({ type, merge, sides: SIDES, choose, nameOf }) };
  },
  deleted({ context, type, id, edit }) {
    return {
      heading: "Others have deleted this",
      text: "Your text is kept on this device. You can store it as a new document, or drop it.",
      content: actions(edit.value && ["Keep as a new one", () => context.keepAsNew(type, id), "primary"], [
        "Drop my changes",
        () => context.discard(type, id),
      ]),
    };
  },
  changed({ context, type, id }) {
    return {
      heading: "Others changed this while you deleted it",
      text: "It has not been deleted.",
      content: actions(
        ["Keep it", () => context.discard(type, id), "primary"],
        ["Delete it all the same", () => context.retry(type, id)],
      ),
    };
  },
  refused({ context, type, id, edit }) {
    if (edit.op === "delete") {
      const buttons = [
        ["Keep it", () => context.discard(type, id), "primary"],
        ["Try again", () => context.retry(type, id)],
      ];
      return { heading: "The service did not delete this", text: edit.problem.reason, content: actions(...buttons) };
    }
    return {
      heading: "The service did not accept this change",
      text: `${edit.problem.reason} Your text is kept on this device.`,
      content: actions(
        ["Try again", () => context.retry(type, id), "primary"],
        ["Drop my changes", () => context.discard(type, id)],
      ),
    };
  },
  reservation: (details) => PROBLEMS.refused(details),
};

function actions(...buttons) {
  const button = ([label, onclick, style]) => h("button", { type: "button", class: style ?? "", onclick }, label);
  return h("div", { class: "actions" }, buttons.filter(Boolean).map(button));
}
