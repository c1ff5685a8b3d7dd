/** Sentences about the changes of an item. */
import { countLines } from "../js/diff.js";
import { TYPES, titleOf } from "../js/values.js";
import { moment, plural } from "./dom.js";

/** Return a note as one sentence. */
export function noteText({ kind, type, before, after, at }) {
  const time = `at ${moment(at).textContent}`;
  const { text } = TYPES[type];
  switch (kind) {
    case "merged":
      return `Your change and the changes of others were merged ${time}${lines(before?.[text], after?.[text])}.`;
    case "changed":
      return `Changed by others ${time}${lines(before?.[text], after?.[text])}.`;
    case "added":
      return `Added by others ${time}.`;
    case "removed":
      return `Deleted by others ${time}.`;
    default:
      return `It got a new number ${time}, since the service no longer accepts the reserved one.`;
  }
}

export const noteTitle = ({ type, before, after }) => titleOf(type, after ?? before);

/** Whether a note has texts to compare. */
export const isComparable = ({ kind, type, before, after }) =>
  ["merged", "changed"].includes(kind) && before?.[TYPES[type].text] !== after?.[TYPES[type].text];

const lines = (before, after) => (before === after ? "" : `: ${countText(before, after)}`);

/** Return how many lines a change adds and removes, as text. */
export function countText(before, after) {
  const { added, removed } = countLines(before, after);
  const parts = [added && `${plural(added, "line")} added`, removed && `${plural(removed, "line")} removed`];
  return parts.filter(Boolean).join(", ") || "no other lines";
}
