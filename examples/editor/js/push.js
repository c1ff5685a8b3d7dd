/** Sends the queue: edits as batches, in an order that lets a document follow its project. */
import { ApiError } from "./api.js";
import { keyOf } from "./values.js";

const MAX_OPERATIONS = 100;
const MAX_BATCH_CHARACTERS = 1_000_000;
/** A request is invalid, not allowed or too large: it would be so again. */
const REFUSALS = [400, 403, 413];
/** Ids on hand, so that items can be created without a network and keep their ids. */
const RESERVED = { document: 100, project: 10 };

/** Send every edit that is ready. Raises ApiError and NoAnswer; the edits then stay in the queue. */
export async function push(api, copy) {
  for (const { type, reservation, edits } of batches(copy.edits().filter(isReady))) {
    const operations = await copy.send(edits);
    const outcomes = await send(api, type, operations, reservation);
    for (const [index, outcome] of outcomes.entries()) {
      if (isBusy(outcome)) continue;
      await copy.finish(type, operations[index], await completed(api, type, operations[index], outcome));
    }
    await renewIds(api, copy, type, operations);
    const busy = outcomes.find(isBusy);
    if (busy) throw new ApiError(busy.status, busy);
  }
}

/** Keep enough ids reserved. */
export async function reserveIds(api, copy) {
  for (const [type, count] of Object.entries(RESERVED)) {
    if ((await copy.reservedCount(type)) >= count) continue;
    const reservation = await reserve(api, type, count);
    if (reservation) await copy.reserve(type, reservation);
  }
}

/** Return a reservation, null if the key may not create items of this type. */
async function reserve(api, type, count) {
  try {
    return await api.reserve(type, count);
  } catch (error) {
    if (error.status !== 403) throw error;
    return null;
  }
}

/** Return the outcomes of operations. If a request is refused as a whole, find the operations that are the reason. */
async function send(api, type, operations, reservation) {
  if (!operations.length) return [];
  try {
    return await api.batch(type, operations, reservation);
  } catch (error) {
    if (!REFUSALS.includes(error.status)) throw error;
    if (operations.length === 1) return [{ status: error.status, error: error.code, reason: error.message }];
    const half = operations.length >> 1;
    const first = await send(api, type, operations.slice(0, half), reservation);
    return [...first, ...(await send(api, type, operations.slice(half), reservation))];
  }
}

const isBusy = ({ status }) => status === 429 || status === 503;
const isReady = ({ problem }) => !problem || problem.isRetried;

/** Split edits into batches of one type and one reservation, small enough for the service. */
function batches(edits) {
  const isProject = ({ type }) => type === "project";
  const isDeleted = ({ op }) => op === "delete";
  const phases = [
    edits.filter((edit) => isProject(edit) && !isDeleted(edit)),
    edits.filter((edit) => !isProject(edit)),
    edits.filter((edit) => isProject(edit) && isDeleted(edit)),
  ];
  return phases.flatMap((phase) =>
    Object.values(Object.groupBy(phase, ({ reservation }) => reservation ?? "")).flatMap(chunks),
  );
}

function chunks(edits) {
  const result = [];
  let characters = Infinity;
  for (const edit of edits) {
    const size = JSON.stringify(edit).length;
    if (characters + size > MAX_BATCH_CHARACTERS || result.at(-1).edits.length === MAX_OPERATIONS) {
      result.push({ type: edit.type, reservation: edit.reservation, edits: [] });
      characters = 0;
    }
    result.at(-1).edits.push(edit);
    characters += size;
  }
  return result;
}

/** Return an outcome with the current item, which the service leaves out of large answers. */
async function completed(api, type, { id }, outcome) {
  if (!outcome.current?.omitted) return outcome;
  return { ...outcome, current: { etag: outcome.current.etag, value: await api.read(type, id) } };
}

/** Create items under new ids if the service no longer accepts their reservation, once for each item. */
async function renewIds(api, copy, type, operations) {
  const edits = operations.map(({ id }) => copy.edit(keyOf(type, id)));
  const refused = edits.filter((edit) => edit?.problem?.kind === "reservation" && !edit.isRenumbered);
  if (!refused.length) return;
  const reservation = await reserve(api, type, Math.max(refused.length, RESERVED[type]));
  if (!reservation) return;
  await copy.reserve(
    type,
    reservation,
    refused.map((edit) => edit.reservation),
  );
  for (const { id } of refused) await copy.createAgain(type, id, { kind: "renumbered" });
}
