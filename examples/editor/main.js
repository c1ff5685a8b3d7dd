/** Starts the editor: the copy on this device, the sync, and the views. */
import { Api } from "./js/api.js";
import { LocalCopy } from "./js/copy.js";
import { forgetSession, loadSession, saveSession } from "./js/session.js";
import { DeviceStorage, removeStorage } from "./js/storage.js";
import { Sync } from "./js/sync.js";
import { TYPES, keyOf, titleOf } from "./js/values.js";
import { openConnection } from "./views/connection.js";
import { h, setAttribute, setText } from "./views/dom.js";
import { itemView } from "./views/item.js";
import { listView } from "./views/list.js";
import { panelView } from "./views/panel.js";
import { summary } from "./views/syncing.js";
import { showMessage } from "./views/message.js";

const element = (id) => document.getElementById(id);
const PLACE = /^#(document|project)-([1-9][0-9]*)$/;

let session = { url: null, key: null, isRemembered: false };
let storage = null;
let copy = null;
let api = null;
let sync = null;
let editor = null;
let writes = 0; // That are being stored on this device.

const context = {
  getCopy: () => copy,
  getApi: () => api,
  getSync: () => sync,
  isOnline: () => ["online", "syncing"].includes(sync?.state),
  wake: () => sync?.wake(),
  openPanel: (name) => panel.open(name),
  openConnection: connect,
  place,
  store,
  attempt,
  create,
  remove,
  restore,
  keepAsNew,
  retry: (type, id) => store(() => copy.retry(type, id)).then(context.wake),
  discard: (type, id) => store(() => copy.discard(type, id)),
};
const updateList = listView(element("list"), context);
const panel = panelView(element("panel"), context);

/** The item that the address names: `{type, id, key}`, or null. */
function place() {
  const [, type, id] = PLACE.exec(location.hash) ?? [];
  return type ? { type, id: Number(id), key: keyOf(type, Number(id)) } : null;
}

/** Store something on this device. A browser that cannot is the one case in which text could be lost: say so. */
async function store(work) {
  writes++;
  updateStatus();
  try {
    const value = await work();
    sync?.wakeAfterTyping();
    return value;
  } catch (error) {
    showMessage(`This browser could not store your text: ${error.message} Copy it to another place.`);
    throw error;
  } finally {
    writes--;
    updateStatus();
  }
}

/** Return the answer of the service to a request that needs a connection, null if there is none. */
async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    showMessage(error.status ? error.message : "This needs a connection to the service. Try again later.");
    return null;
  }
}

/** Create an item; a document belongs to the project that is open, or to that of the document that is open. */
async function create(type, projectId = openProject()) {
  const { title, name } = TYPES[type];
  const value = { [title]: `New ${name}`, ...(type === "document" && projectId && { project_id: projectId }) };
  const id = copy && (await store(() => copy.create(type, value)));
  if (!id)
    return showMessage(
      `A ${name} needs an id that the service has reserved, and none is left. Connect once, or use a key that may create.`,
    );
  location.hash = `${type}-${id}`;
  update();
  element("title").focus();
  element("title").select();
}

function openProject() {
  const { type, id, key } = place() ?? {};
  return type === "project" ? id : type && copy.value(key)?.project_id;
}

async function remove(type, id) {
  const value = copy.value(keyOf(type, id));
  const tag = copy.item(keyOf(type, id))?.etag;
  await store(() => copy.remove(type, id));
  location.hash = "";
  showMessage(`“${titleOf(type, value)}” was deleted.`, { label: "Undo", act: () => undoRemoval(type, id, tag) });
  element("message-action").focus();
}

/** Bring back a deleted item: from the queue if the deletion was not sent yet, else from its versions. */
async function undoRemoval(type, id, tag) {
  if (copy.edit(keyOf(type, id))?.op === "delete") await context.discard(type, id);
  else if (tag && !(await restore(type, id, tag))) return;
  location.hash = `${type}-${id}`;
}

/** Write an earlier version as the newest one. An edit that is not sent yet is merged into it. */
async function restore(type, id, tag) {
  const item = await attempt(() => api.restore(type, id, tag));
  if (!item) return false;
  await store(() => copy.put(type, id, item.etag, item.value));
  showMessage("The version was restored.");
  return true;
}

async function keepAsNew(type, id) {
  const newId = await store(() => copy.createAgain(type, id));
  if (newId) location.hash = `${type}-${newId}`;
  else showMessage("There is no reserved id left for it. Connect to the service first.");
}

/** Begin to work with a service, with a key or only with the copy on this device. */
async function start() {
  sync?.stop();
  storage?.close();
  storage = await DeviceStorage.open(session.url);
  copy = new LocalCopy(storage);
  storage.addEventListener("change", update);
  api = session.key ? new Api(session.url, session.key) : null;
  sync = api && new Sync(api, copy);
  sync?.addEventListener("change", update);
  navigator.storage?.persist?.(); // So that the browser does not clear the queue when the disk is full.
  update();
}

async function connect() {
  const hint = await fetch("service.json")
    .then((answer) => answer.json())
    .catch(() => null);
  openConnection({
    session,
    hint: hint?.url,
    waiting: copy?.edits().length ?? 0,
    async connect(chosen) {
      session = chosen;
      await saveSession(session);
      await start();
    },
    async forgetKey() {
      session = { url: session.url, key: null, isRemembered: false };
      await saveSession(session);
      await start();
    },
    async removeAll() {
      sync?.stop();
      storage?.close();
      if (session.url) await removeStorage(session.url);
      await forgetSession();
      location.replace(location.pathname);
    },
  });
}

function updateStatus() {
  const { state, label } = summary(copy, sync, writes > 0);
  setText(element("status-text"), label);
  setAttribute(element("status"), "data-state", state);
}

function update() {
  updateStatus();
  updateList();
  updateItem();
  panel.update();
}

/** Show the item that the address names, or a hint. */
function updateItem() {
  const current = copy && place();
  document.body.dataset.view = current ? "item" : "list";
  if (current && !editor?.isFor(current.type, current.id))
    editor = itemView(element("main"), context, current.type, current.id);
  const isThere = current && editor.update();
  const title = isThere ? titleOf(current.type, copy.value(current.key)) : null;
  document.title = title ? `${title} – Dreamscript` : "Dreamscript editor";
  if (isThere) return;
  editor = null;
  const [heading, text] = current
    ? ["It is not here", "It was deleted, or this key may not read it."]
    : copy
      ? ["Nothing is open", "Choose a document, or write a new one. You can do both without a connection."]
      : [
          "Welcome",
          "This editor works with and without a network. It needs the URL of a Dreamscript Database and an API key.",
        ];
  const button = !copy && h("button", { class: "primary", type: "button", onclick: connect }, "Connect");
  element("main").replaceChildren(h("div", { class: "hint" }, h("h2", {}, heading), h("p", {}, text), button));
}

element("connect").onclick = connect;
element("status").onclick = () => panel.toggle("sync");
window.addEventListener("hashchange", () => {
  update();
  const main = element("main");
  if (place() && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
});
for (const event of ["online", "offline"]) window.addEventListener(event, () => sync?.wake());
window.addEventListener("keydown", (event) => {
  if (event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  sync?.wake();
});
navigator.serviceWorker?.register("service-worker.js").catch(() => {});

try {
  if (!isSecureContext) throw new Error("it needs HTTPS, or an address of this machine such as 127.0.0.1.");
  session = await loadSession();
  if (session.url) await start();
  else update();
  if (!session.url) await connect();
} catch (error) {
  showMessage(`The editor cannot start here: ${error.message}`);
}
