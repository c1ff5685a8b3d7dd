/**
 * The editor without its views: the session, the copy, the sync, and the actions on an item.
 *
 * Views read `copy`, `api` and `sync`, which are null until there is a service and a key, and bring themselves up to
 * date at each `change`.
 */
import { showMessage } from "../views/message.js";
import { Api } from "./api.js";
import { LocalCopy } from "./copy.js";
import { forgetSession, loadSession, saveSession } from "./session.js";
import { DeviceStorage, removeStorage } from "./storage.js";
import { Sync } from "./sync.js";
import { TYPES, keyOf, titleOf } from "./values.js";

const PLACE = /^#(document|project)-([1-9][0-9]*)$/;

/** Open an item unless the person has left the place `from` meanwhile; return whether it is open. */
function openFrom(from, type, id) {
  if (location.hash !== from) return false;
  location.hash = `${type}-${id}`;
  return true;
}

export class App extends EventTarget {
  session = { url: null, key: null, isRemembered: false };
  copy = null;
  api = null;
  sync = null;
  #storage = null;
  #writes = 0;

  get isOnline() {
    return ["online", "syncing"].includes(this.sync?.state);
  }

  /** Whether something is being stored on this device at this moment. */
  get isStoring() {
    return this.#writes > 0;
  }

  /** The item that the address names: `{type, id, key}`, or null. */
  get place() {
    const [, type, id] = PLACE.exec(location.hash) ?? [];
    return type ? { type, id: Number(id), key: keyOf(type, Number(id)) } : null;
  }

  wake = () => this.sync?.wake();

  /** Begin with the session of this browser, if there is one. */
  async start() {
    this.session = await loadSession();
    if (this.session.url) await this.#open();
  }

  async connect(session) {
    this.session = session;
    await saveSession(session);
    await this.#open();
  }

  /** Forget the key, and go on with the copy alone. */
  forgetKey() {
    return this.connect({ url: this.session.url, key: null, isRemembered: false });
  }

  /** Remove the key and the copy from this device. */
  async removeAll() {
    this.sync?.stop();
    this.#storage?.close();
    if (this.session.url) await removeStorage(this.session.url);
    await forgetSession();
    location.replace(location.pathname);
  }

  async #open() {
    this.sync?.stop();
    this.#storage?.close();
    const { url, key } = this.session;
    this.#storage = await DeviceStorage.open(url);
    this.copy = new LocalCopy(this.#storage);
    this.api = key ? new Api(url, key) : null;
    this.sync = this.api && new Sync(this.api, this.copy);
    for (const source of [this.#storage, this.sync]) source?.addEventListener("change", () => this.#report());
    navigator.storage?.persist?.(); // So that the browser does not clear the queue when the disk is full.
    this.#report();
  }

  /** Store something on this device. If the browser cannot, text could be lost: show a message. */
  async store(work) {
    this.#writes++;
    this.#report("storing");
    try {
      const value = await work();
      this.sync?.wakeAfterTyping();
      return value;
    } catch (error) {
      showMessage(`This browser could not store your text: ${error.message} Copy it to another place.`);
      throw error;
    } finally {
      this.#writes--;
      this.#report("storing");
    }
  }

  /** Return the answer of the service to a request that needs a connection, null if there is none. */
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      showMessage(error.status ? error.message : "This needs a connection to the service. Try again later.");
      return null;
    }
  }

  /**
   * Create an item, and open it; return whether it is open.
   *
   * A document belongs to the project that is open, or that of the open document.
   */
  async create(type) {
    const { title, name } = TYPES[type];
    const from = location.hash;
    const project = type === "document" && this.#openProject();
    const value = { [title]: `New ${name}`, ...(project && { project_id: project }) };
    const id = this.copy && (await this.store(() => this.copy.create(type, value)));
    if (id) return openFrom(from, type, id);
    showMessage(`A new ${name} needs a reserved id, and none is left. Connect with a key that may create some.`);
    return false;
  }

  async remove(type, id) {
    const key = keyOf(type, id);
    const value = this.copy.value(key);
    const tag = this.copy.item(key)?.etag;
    await this.store(() => this.copy.remove(type, id));
    if (this.place?.key === key) location.hash = ""; // Another item may have been opened meanwhile.
    showMessage(`“${titleOf(type, value)}” was deleted.`, {
      label: "Undo",
      act: () => this.#undoRemoval(type, id, tag),
    });
  }

  /** Write an earlier version as the newest one. An edit that is not sent yet is merged into it. */
  async restore(type, id, tag) {
    const item = await this.attempt(() => this.api.restore(type, id, tag));
    if (!item) return false;
    await this.store(() => this.copy.put(type, id, item.etag, item.value));
    showMessage("The version was restored.");
    return true;
  }

  /** Replace the versions of a conflict by a value. An edit that waited for this is merged into it. */
  async resolve(type, id, value, tags) {
    const item = await this.attempt(() => this.api.resolve(type, id, value, tags));
    if (!item) return;
    await this.store(() => this.copy.put(type, id, item.etag, item.value));
    if (this.copy.edit(keyOf(type, id))) await this.retry(type, id);
  }

  /** Store the text of an item that others have deleted as a new one. */
  async keepAsNew(type, id) {
    const from = location.hash;
    const newId = await this.store(() => this.copy.createAgain(type, id));
    if (newId) openFrom(from, type, newId);
    else showMessage("There is no reserved id left for it. Connect to the service first.");
  }

  async choose(type, id, value) {
    await this.store(() => this.copy.choose(type, id, value));
    this.wake();
  }

  async retry(type, id) {
    await this.store(() => this.copy.retry(type, id));
    this.wake();
  }

  discard(type, id) {
    return this.store(() => this.copy.discard(type, id));
  }

  /** Bring back a deleted item: from the queue if the deletion was not sent yet, else from its versions. */
  async #undoRemoval(type, id, tag) {
    const from = location.hash;
    if (this.copy.edit(keyOf(type, id))?.op === "delete") await this.discard(type, id);
    else if (tag && !(await this.restore(type, id, tag))) return;
    openFrom(from, type, id);
  }

  #openProject() {
    const { type, id, key } = this.place ?? {};
    return type === "project" ? id : key && this.copy.value(key)?.project_id;
  }

  #report(type = "change") {
    this.dispatchEvent(new Event(type));
  }
}
