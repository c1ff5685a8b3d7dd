/** The copy of the service's items on this device, and the queue of edits: everything that can be done without a network. */
import * as rules from "./edits.js";
import { keyOf, withoutId } from "./values.js";

export class LocalCopy {
  #storage;

  constructor(storage) {
    this.#storage = storage;
  }

  item = (key) => this.#storage.items.get(key) ?? null;
  edit = (key) => this.#storage.edits.get(key) ?? null;
  edits = () => [...this.#storage.edits.values()].sort((a, b) => a.at - b.at);
  notes = () => this.#storage.notes;
  /** The edits that wait for a connection. */
  queued = () => this.edits().filter(({ problem }) => !problem);
  /** The edits and items that wait for a person. */
  undecided = () => [
    ...this.edits().filter(({ problem }) => problem),
    ...[...this.#storage.items.values()].filter(({ key, conflicted }) => conflicted && !this.edit(key)?.problem),
  ];

  /** Return the value that the screen shows, null if there is none. */
  value(key) {
    const edit = this.edit(key);
    const stored = this.item(key)?.value ?? null;
    if (edit?.op === "delete") return edit.problem ? (stored ?? edit.value) : null;
    return edit?.value ?? stored;
  }

  /** Return `[{key, id, value, edit, item}]` of a type, in the order of ids. */
  list(type) {
    const keys = [...new Set([...this.#storage.items.keys(), ...this.#storage.edits.keys()])];
    return keys
      .filter((key) => key.startsWith(`${type}:`))
      .map((key) => ({
        key,
        id: Number(key.split(":")[1]),
        value: this.value(key),
        edit: this.edit(key),
        item: this.item(key),
      }))
      .filter((entry) => entry.value)
      .sort((a, b) => a.id - b.id);
  }

  /** Change an item, its edit or both by a rule of edits.js. */
  change(type, id, rule) {
    return this.#storage.transact((transaction) => transaction.update(type, id, rule));
  }

  /** Somebody has changed the value `from`, which the screen showed, to `value`. */
  type(type, id, from, value) {
    return this.change(type, id, (item, edit) => rules.afterTyping(item, edit, from, value));
  }

  /** Somebody has chosen a value for an edit that clashed. */
  choose(type, id, value) {
    return this.change(type, id, (item, edit) => rules.afterChoice(item, edit, value));
  }

  /** Create an item under a reserved id, and return the id; null if no id is left. */
  create(type, value) {
    return this.#storage.transact(async (transaction) => {
      const reserved = await takeId(transaction, type);
      if (!reserved) return null;
      const edit = { op: "create", value, sent: null, reservation: reserved.reservation, problem: null };
      await transaction.update(type, reserved.id, () => ({ item: null, edit }));
      return reserved.id;
    });
  }

  /** Create the item of an edit again, under a new id. Returns the id, null if none is left. */
  createAgain(type, id, note = null) {
    return this.#storage.transact(async (transaction) => {
      const { value } = this.edit(keyOf(type, id));
      const reserved = await takeId(transaction, type);
      if (!reserved) return null;
      const edit = {
        op: "create",
        value,
        sent: null,
        reservation: reserved.reservation,
        problem: null,
        isRenumbered: true,
      };
      await transaction.update(type, id, () => ({ item: null, edit: null }));
      await transaction.update(type, reserved.id, () => ({ item: null, edit, note }));
      return reserved.id;
    });
  }

  /** Delete an item. One that was never sent is gone at once. */
  remove(type, id) {
    return this.change(type, id, (item, edit) => {
      if (edit?.op === "create" && !edit.sent) return { item: null, edit: null };
      return { item, edit: { op: "delete", value: edit?.value ?? item.value, sent: null, problem: null } };
    });
  }

  /** Store an item that the service has returned. */
  put(type, id, etag, value) {
    const stored = { etag, value: withoutId(value), conflicted: false };
    return this.change(type, id, (item, edit) => ({ item: { ...item, ...stored }, edit }));
  }

  /** Drop the edit of an item, so that the service's value remains. */
  discard(type, id) {
    return this.change(type, id, (item) => ({ item, edit: null }));
  }

  /** Send an edit with a problem again. */
  retry(type, id) {
    return this.change(type, id, (item, edit) => ({ item, edit: edit && { ...edit, problem: null } }));
  }

  /** Return the operations that send these edits, and mark the edits as sent. */
  send(edits) {
    return this.#storage.transact(async (transaction) => {
      const operations = [];
      for (const { type, id } of edits) {
        await transaction.update(type, id, (item, edit) => {
          if (!edit) return { item, edit };
          operations.push(rules.operationOf(item, edit));
          return { item, edit: { ...edit, sent: edit.op === "delete" ? null : (edit.sent ?? edit.value) } };
        });
      }
      return operations;
    });
  }

  /** Store the outcome of an operation. */
  finish(type, operation, outcome) {
    return this.change(type, operation.id, (item, edit) => rules.afterOutcome(item, edit, operation, outcome));
  }

  checkpoint() {
    return this.#storage.transact((transaction) => transaction.get("checkpoint"));
  }

  /**
   * Store an answer of `/changes`, and its checkpoint in the same transaction.
   *
   * A pass begins without a checkpoint. When it has caught up, items that it did not show are gone.
   */
  follow({ changes, next, caught_up: isCaughtUp }) {
    return this.#storage.transact(async (transaction) => {
      const { pass, isOver } = (await transaction.get("pass")) ?? { pass: 1, isOver: false };
      for (const change of changes) {
        await transaction.update(change.type, change.id, (item, edit) =>
          rules.afterChange(item, edit, change, pass, !isOver),
        );
      }
      if (!isOver && isCaughtUp) {
        const gone = (await transaction.items()).filter((item) => item.pass !== pass);
        for (const { type, id } of gone) await transaction.update(type, id, (_, edit) => ({ item: null, edit }));
      }
      await transaction.set("pass", { pass, isOver: isOver || isCaughtUp });
      await transaction.set("checkpoint", next);
    });
  }

  /** Begin a new pass, since the service cannot continue from the checkpoint. */
  startAgain() {
    return this.#storage.transact(async (transaction) => {
      const { pass } = (await transaction.get("pass")) ?? { pass: 0 };
      await transaction.set("pass", { pass: pass + 1, isOver: false });
      await transaction.set("checkpoint", null);
    });
  }

  /** Return how many reserved ids of a type are left. */
  reservedCount(type) {
    return this.#storage.transact(async (transaction) => {
      return (await reservations(transaction, type)).reduce((count, { ids }) => count + ids.length, 0);
    });
  }

  /** Store a reservation, in place of those that the service has `refused`. */
  reserve(type, reservation, refused = []) {
    return this.#storage.transact(async (transaction) => {
      const others = (await reservations(transaction, type)).filter((each) => !refused.includes(each.reservation));
      await transaction.set(`reserved ${type}`, [...others, reservation]);
    });
  }
}

/** Return the reservations of a type that have ids and are valid for a while. */
async function reservations(transaction, type) {
  const stored = (await transaction.get(`reserved ${type}`)) ?? [];
  return stored.filter(({ ids, expires_at }) => ids.length && new Date(expires_at) > new Date());
}

/** Take one id out of the reservations: `{id, reservation}`, or null. */
async function takeId(transaction, type) {
  const [first, ...others] = await reservations(transaction, type);
  if (!first) return null;
  const [id, ...ids] = first.ids;
  await transaction.set(`reserved ${type}`, [{ ...first, ids }, ...others]);
  return { id, reservation: first.reservation };
}
