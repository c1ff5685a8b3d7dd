/** Connects the editor with the page. */
import { App } from "./js/app.js";
import { titleOf } from "./js/values.js";
import { openConnection } from "./views/connection.js";
import { h, setAttribute, setText } from "./views/dom.js";
import { ItemView } from "./views/item.js";
import { listView } from "./views/list.js";
import { showMessage } from "./views/message.js";
import { panelView } from "./views/panel.js";
import { summary } from "./views/syncing.js";

const app = new App();
const element = (id) => document.getElementById(id);
const connect = () => openConnection(app);
const updateList = listView(element("list"), app, create);
const panel = panelView(element("panel"), app, connect);
let editor = null;

async function create(type) {
  if (!(await app.create(type))) return;
  update();
  element("title").focus();
  element("title").select();
}

function update() {
  updateStatus();
  updateList();
  updateItem();
  panel.update();
}

function updateStatus() {
  const { state, label } = summary(app);
  setText(element("status-text"), label);
  setAttribute(element("status"), "data-state", state);
  setAttribute(element("status"), "aria-busy", app.isStoring ? "true" : null);
}

/** Show the item that the address names, or a hint. */
function updateItem() {
  const place = app.copy && app.place;
  document.body.dataset.view = place ? "item" : "list";
  if (place && editor?.key !== place.key) editor = new ItemView(element("main"), app, place, { panel, create });
  const isThere = place && editor.update();
  document.title = isThere ? `${titleOf(place.type, app.copy.value(place.key))} – Dreamscript` : "Dreamscript editor";
  if (isThere) return;
  editor = null;
  element("main").replaceChildren(hint());
}

function hint() {
  const [heading, text] = !app.copy
    ? ["Welcome", "This editor works with and without a network. It needs the URL of a Dreamscript Database and a key."]
    : app.place
      ? ["It is not here", "It was deleted, or this key may not read it."]
      : ["Nothing is open", "Choose a document, or write a new one. You can do both without a connection."];
  const button = !app.copy && h("button", { class: "primary", type: "button", onclick: connect }, "Connect");
  return h("div", { class: "hint" }, h("h2", {}, heading), h("p", {}, text), button);
}

app.addEventListener("change", update);
app.addEventListener("storing", updateStatus);
element("connect").onclick = connect;
element("status").onclick = () => panel.toggle("sync");
for (const event of ["online", "offline"]) window.addEventListener(event, app.wake);
window.addEventListener("hashchange", () => {
  update();
  const main = element("main");
  if (app.place && !main.contains(document.activeElement)) main.focus({ preventScroll: true });
});
window.addEventListener("keydown", (event) => {
  if (event.key !== "s" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  app.wake();
});
navigator.serviceWorker?.register("service-worker.js").catch(() => {});

try {
  if (!isSecureContext) throw new Error("it needs HTTPS, or an address of this machine such as 127.0.0.1.");
  await app.start();
  update();
  if (!app.session.url) await connect();
} catch (error) {
  showMessage(`The editor cannot start here: ${error.message}`);
}
