/** A difference of two texts, line by line. */
import { diffLines } from "../js/diff.js";
import { h, plural } from "./dom.js";

/** Equal lines that are shown beside a change. */
const CONTEXT = 2;

/** Return an element with the lines that a change removes and adds, and some lines around them. */
export function diffView(before, after, label) {
  const changes = diffLines(before, after);
  const isNear = near(changes);
  const rows = [];
  for (let index = 0; index < changes.length; ) {
    if (isNear[index]) {
      rows.push(row(changes[index++]));
      continue;
    }
    const start = index;
    while (index < changes.length && !isNear[index]) index++;
    rows.push(h("div", { class: "gap" }, `${plural(index - start, "unchanged line")}`));
  }
  if (!changes.some(({ kind }) => kind !== "same"))
    rows.splice(0, rows.length, h("div", { class: "gap" }, "The text is the same."));
  return h("div", { class: "diff", role: "group", "aria-label": label, tabIndex: 0 }, rows);
}

/** Return for each line whether it is changed or near a change. */
function near(changes) {
  const isNear = changes.map(() => false);
  changes.forEach(({ kind }, index) => {
    if (kind !== "same") isNear.fill(true, Math.max(0, index - CONTEXT), index + CONTEXT + 1);
  });
  return isNear;
}

const MARKS = { added: ["ins", "+"], removed: ["del", "−"], same: ["span", ""] };

/** Return one line, marked by a sign beside its colour. */
export function row({ kind, line }) {
  const [tag, sign] = MARKS[kind];
  return h(
    "div",
    { class: `line ${kind}` },
    h("span", { class: "sign" }, sign),
    h(tag, {}, line.replace(/\r?\n$/, "") || "\u00a0"),
  );
}
