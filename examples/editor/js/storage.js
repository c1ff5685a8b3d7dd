/**
 * Items, edits and notes of one service: in IndexedDB, so that they outlive a reload without a network, and in memory,
 * so that the page shows them at once.
 *
 * All windows of a browser share the database. Each change is one transaction, and a channel reports to the other
 * windows which items to read again.
 */
import { deleteDatabase, openDatabase, result, transact } from "./database.js";
import { keyOf } from "./values.js";

const MAX_NOTES = 40;
const STORES = ["items", "edits", "notes", "values"];

const databaseName = (url) => `dreamscript-editor ${url}`;

export const removeStorage = (url) => deleteDatabase(databaseName(url));

export class DeviceStorage extends EventTarget {
  #database;
  #channel;
  items = new Map();
  edits = new Map();
  notes = [];

  /** Open the storage for the service at this URL. It reports each `change`, also those of other windows. */
  static async open(url) {
    const storage = new this();
    storage.#database = await openDatabase(databaseName(url));
    storage.#channel = new BroadcastChannel(databaseName(url));
    storage.#channel.onmessage = ({ data: keys }) => storage.#reload(keys);
    await transact(storage.#database, STORES, async (store) => {
      for (const item of await result(store("items").getAll())) storage.items.set(item.key, item);
      for (const edit of await result(store("edits").getAll())) storage.edits.set(edit.key, edit);
      storage.notes = (await result(store("notes").getAll())).reverse();
    });
    return storage;
  }

  close() {
    this.#channel.close();
    this.#database.close();
  }

  /** Run `work(transaction)` in one transaction, then show its changes in every window. Returns the work's result. */
  async transact(work) {
    const touched = new Map();
    const value = await transact(this.#database, STORES, (store) => work(new Transaction(store, touched)));
    if (touched.size) {
      this.#show(touched);
      this.#channel.postMessage([...touched.keys()]);
    }
    return value;
  }

  async #reload(keys) {
    const touched = new Map();
    await transact(this.#database, STORES, async (store) => {
      for (const key of keys) {
        const [item, edit] = await both(store, key);
        touched.set(key, { item, edit });
      }
      this.notes = (await result(store("notes").getAll())).reverse();
    });
    this.#show(touched);
  }

  #show(touched) {
    for (const [key, { item, edit, note }] of touched) {
      item ? this.items.set(key, item) : this.items.delete(key);
      edit ? this.edits.set(key, edit) : this.edits.delete(key);
      if (note) this.notes = [note, ...this.notes].slice(0, MAX_NOTES);
    }
    this.dispatchEvent(new Event("change"));
  }
}

/** The operations of one transaction; `touched` collects the items that they change. */
class Transaction {
  #store;
  #touched;

  constructor(store, touched) {
    this.#store = store;
    this.#touched = touched;
  }

  get = (name) => result(this.#store("values").get(name));
  set = (name, value) => result(this.#store("values").put(value, name));
  items = () => result(this.#store("items").getAll());

  /** Replace an item and its edit by those that `rule(item, edit)` returns, and store its note. */
  async update(type, id, rule) {
    const key = keyOf(type, id);
    const { note, ...state } = rule(...(await both(this.#store, key)));
    const item = state.item && { ...state.item, key, type, id };
    const edit = state.edit && { at: Date.now(), ...state.edit, key, type, id };
    await result(item ? this.#store("items").put(item) : this.#store("items").delete(key));
    await result(edit ? this.#store("edits").put(edit) : this.#store("edits").delete(key));
    this.#touched.set(key, { item, edit, note: note && (await this.#keep({ ...note, type, id, at: Date.now() })) });
  }

  /** Store a note in place of the oldest one. */
  async #keep(note) {
    const number = await result(this.#store("notes").add(note));
    await result(this.#store("notes").delete(number - MAX_NOTES));
    return { ...note, number };
  }
}

async function both(store, key) {
  const [item, edit] = await Promise.all([result(store("items").get(key)), result(store("edits").get(key))]);
  return [item ?? null, edit ?? null];
}
