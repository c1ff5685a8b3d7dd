/** Sentences about what happened to an item. */
import { countLines } from "../js/diff.js";
import { TYPES, titleOf } from "../js/values.js";
import { moment, plural } from "./dom.js";

/** Return a note as one sentence. */
export function noteText({ kind, type, before, after, at }) {
  const time = moment(at).textContent;
  const { text } = TYPES[type];
  switch (kind) {
    case "merged":
      return `${time}: your change and the changes of others were merged${lines(before?.[text], after?.[text])}.`;
    case "changed":
      return `${time}: changed by others${lines(before?.[text], after?.[text])}.`;
    case "added":
      return `${time}: added by others.`;
    case "removed":
      return `${time}: deleted by others.`;
    default:
      return `${time}: it got a new number, since the service no longer accepts the reserved one.`;
  }
}

export const noteTitle = ({ type, before, after }) => titleOf(type, after ?? before);

/** Whether a note has texts to compare. */
export const isComparable = ({ kind, type, before, after }) =>
  ["merged", "changed"].includes(kind) && before?.[TYPES[type].text] !== after?.[TYPES[type].text];

function lines(before, after) {
  if (before === after) return "";
  const { added, removed } = countLines(before, after);
  const parts = [added && `${plural(added, "line")} added`, removed && `${removed} removed`].filter(Boolean);
  return ` (${parts.join(", ")})`;
}
