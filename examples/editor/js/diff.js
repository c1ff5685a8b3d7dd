/** The difference of two texts by lines (Myers, "An O(ND) Difference Algorithm", 1986). */

/** Beyond this number of different lines, the whole middle counts as replaced, so that no text stops the page. */
const MAX_EDITS = 800;

/** Split a text after each line feed, so that joining the lines gives the text again. */
export const linesOf = (text) => (text ?? "").match(/[^\n]*\n|[^\n]+$/g) ?? [];

/** Return `[{kind: "same" | "removed" | "added", line}]` that leads from one text to the other. */
export function diffLines(before, after) {
  const a = linesOf(before);
  const b = linesOf(after);
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return [
    ...parts("same", a.slice(0, start)),
    ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...parts("same", a.slice(a.length - end)),
  ];
}

/** Return how many lines a change adds and removes. */
export function countLines(before, after) {
  const changes = diffLines(before, after);
  const count = (kind) => changes.filter((change) => change.kind === kind).length;
  return { added: count("added"), removed: count("removed") };
}

/** Return the place in `after` for a cursor at `position` in `before`. */
export function movedPosition(before, after, position) {
  let old = 0;
  let moved = 0;
  for (const { kind, line } of diffLines(before, after)) {
    if (kind === "added") {
      moved += line.length;
      continue;
    }
    if (old + line.length > position) return moved + (kind === "same" ? position - old : 0);
    old += line.length;
    if (kind === "same") moved += line.length;
  }
  return Math.min(moved + position - old, after.length);
}

const parts = (kind, lines) => lines.map((line) => ({ kind, line }));

function middle(a, b) {
  const trace = furthest(a, b);
  if (!trace) return [...parts("removed", a), ...parts("added", b)];
  const changes = []; // From the end to the beginning.
  let [x, y] = [a.length, b.length];
  const goBack = (oldX, oldY) => {
    while (x > oldX && y > oldY) {
      changes.push({ kind: "same", line: a[--x] });
      y--;
    }
  };
  for (let edits = trace.length - 1; edits > 0; edits--) {
    const isAdded = isDown(trace[edits], x - y, edits);
    const diagonal = isAdded ? x - y + 1 : x - y - 1;
    const oldX = trace[edits].get(diagonal);
    goBack(isAdded ? oldX : oldX + 1, isAdded ? oldX - diagonal + 1 : oldX - diagonal);
    changes.push(isAdded ? { kind: "added", line: b[--y] } : { kind: "removed", line: a[--x] });
  }
  goBack(0, 0);
  return changes.reverse();
}

/** Return the furthest x on each diagonal before each number of edits, null beyond MAX_EDITS. */
function furthest(a, b) {
  const reached = new Map([[1, 0]]);
  const trace = [];
  for (let edits = 0; edits <= Math.min(MAX_EDITS, a.length + b.length); edits++) {
    trace.push(new Map(reached));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = isDown(reached, diagonal, edits) ? reached.get(diagonal + 1) : reached.get(diagonal - 1) + 1;
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x++;
      reached.set(diagonal, x);
      if (x >= a.length && x - diagonal >= b.length) return trace;
    }
  }
  return null;
}

/** Return whether the best way to a diagonal is an added line. */
function isDown(reached, diagonal, edits) {
  return diagonal === -edits || (diagonal !== edits && reached.get(diagonal - 1) < reached.get(diagonal + 1));
}
