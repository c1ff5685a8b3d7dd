/**
 * The rules of the queue, without storage or network.
 *
 * An edit is the difference between the service's item and this device: `base` is the value that it started from and
 * `value` is the text on the screen. There is at most one edit for each item, however often somebody types. `sent` is
 * the value of a request whose answer has not arrived: it is repeated unchanged until there is an answer, because the
 * service may have stored it already.
 *
 * Each function returns the new state of an item: `{item, edit, note}`, where null stands for none.
 */
import { isEqual, withoutId } from "./values.js";

/** Somebody has changed the text that was `from` to `value`. */
export function afterTyping(item, edit, from, value) {
  if (edit?.op === "create") return { item, edit: { ...edit, value, problem: retried(edit.problem) } };
  const pending = edit?.op === "merge" ? edit : { op: "merge", base: from, sent: null, problem: null };
  if (!pending.sent && isEqual(value, pending.base)) return { item, edit: null };
  return { item, edit: { ...pending, value, problem: retried(pending.problem) } };
}

/** Return the operation of a batch that sends this edit. */
export function operationOf(item, edit) {
  const { op, id, base } = edit;
  if (op === "delete") return { op, id, ...(item && { if_match: item.etag }) };
  const value = edit.sent ?? edit.value;
  return op === "create" ? { op, id, value } : { op, id, base, value };
}

/** The service has reported the outcome of an operation. The person may have typed on meanwhile. */
export function afterOutcome(item, edit, operation, outcome) {
  const current = outcome.current?.value && itemOf(item, outcome.current);
  if (outcome.status === 200 || outcome.status === 201) {
    const stored = current ?? { ...item, etag: outcome.etag, value: operation.value };
    return {
      item: stored,
      edit: rest(edit, operation),
      note: outcome.merged ? changeNote("merged", operation, stored) : null,
    };
  }
  if (outcome.status === 204) return { item: null, edit: null };
  if (!edit) return { item: current ?? item, edit };
  if (operation.op === "delete") {
    if (outcome.status === 404) return { item: null, edit: null };
    const kind = outcome.status === 412 ? "changed" : "refused";
    return { item: current ?? item, edit: withProblem(edit, kind, outcome) };
  }
  // The first answer to this create was lost, and the item has been changed since: an id that is reserved is ours alone.
  if (operation.op === "create" && current) return { item: current, edit: rest(edit, operation) };
  return { item: current ?? item, edit: withProblem(edit, kindOf(operation, outcome), outcome) };
}

/** The service reports a change, of others or our own. `pass` numbers the sync that showed the item last. */
export function afterChange(item, edit, change, pass, isFirstSync = false) {
  const isKnown = item?.etag === change.etag && Boolean(item.conflicted) === Boolean(change.conflicted);
  if (!change.deleted && isKnown) return { item: { ...item, pass }, edit };
  const again = edit && { ...edit, problem: retried(edit.problem) };
  if (change.deleted)
    return { item: null, edit: again, note: item && { kind: "removed", before: item.value, after: item.value } };
  const arrived = { ...item, etag: change.etag, value: withoutId(change.value), conflicted: change.conflicted, pass };
  if (!item)
    return {
      item: arrived,
      edit: again,
      note: isFirstSync ? null : { kind: "added", before: {}, after: arrived.value },
    };
  const isOther = !isEqual(item.value, arrived.value);
  return {
    item: arrived,
    edit: again,
    note: isOther ? { kind: "changed", before: item.value, after: arrived.value } : null,
  };
}

/** Somebody has chosen a value for an edit that clashed: it is now an edit of the service's current value. */
export function afterChoice(item, edit, value) {
  if (!edit?.problem || item?.etag !== edit.problem.etag) return { item, edit }; // They saw an older version.
  const base = item.value;
  return { item, edit: isEqual(base, value) ? null : { ...edit, op: "merge", base, value, sent: null, problem: null } };
}

/** Return the rest of an edit when the service has stored the value of `operation`. */
function rest(edit, operation) {
  if (!edit || edit.op === "delete") return edit;
  if (isEqual(edit.value, operation.value)) return null;
  return { ...edit, op: "merge", base: operation.value, sent: null, reservation: null, problem: null };
}

function kindOf(operation, { status, error, current }) {
  if (status === 404 || current?.deleted) return "deleted";
  if (status === 403 && operation.op === "create") return "reservation";
  if (error === "unresolved_conflict") return "conflict";
  return status === 409 && current ? "clash" : "refused";
}

function withProblem(edit, kind, { reason, current, merge }) {
  return { ...edit, sent: null, problem: { kind, reason, merge: merge ?? null, etag: current?.etag ?? null } };
}

/** A problem stays on the screen while its edit is sent again. */
function retried(problem) {
  return problem ? { ...problem, isRetried: true } : null;
}

function itemOf(item, current) {
  return { ...item, etag: current.etag, value: withoutId(current.value) };
}

function changeNote(kind, operation, stored) {
  return { kind, before: operation.value, after: stored.value };
}
