/** The panel beside the text: the sync, or the versions of the item that is open. */
import { h } from "./dom.js";
import { syncView } from "./syncing.js";
import { versionsView } from "./versions.js";

const TITLES = { sync: "Sync", versions: "Versions" };
/** From this width on, the panel stands beside the text; below, it covers the text. */
const WIDE = matchMedia("(min-width: 75rem)");

/** Build the panel into `root`. */
export function panelView(root, app, connect) {
  const heading = h("h2", { tabIndex: -1, id: "panel-title" });
  const close = h("button", { type: "button", class: "quiet", onclick: hide, "aria-label": "Close the panel" }, "✕");
  const [sync, versions] = [h("div"), h("div")];
  root.append(h("header", {}, heading, close), sync, versions);
  const updateSync = syncView(sync, app, connect);
  let name = null;
  let opener = null;
  let loaded = null;

  function open(which) {
    opener = document.activeElement;
    loaded = null;
    show(which);
    heading.focus();
  }

  function show(which) {
    name = which;
    root.hidden = !name;
    document.body.classList.toggle("has-panel", Boolean(name));
    heading.textContent = TITLES[name] ?? "";
    sync.hidden = name !== "sync";
    versions.hidden = name !== "versions";
    document.getElementById("status").setAttribute("aria-expanded", String(name === "sync"));
    follow();
  }

  /** Show the versions of the item that is open now. */
  function follow() {
    if (name !== "versions" || loaded === shownVersion()) return;
    loaded = shownVersion();
    const place = app.place;
    if (place) versionsView(versions, app, place);
    else show(WIDE.matches ? "sync" : null);
  }

  function shownVersion() {
    const key = app.place?.key;
    return [key, app.copy?.item(key)?.etag, app.isOnline].join();
  }

  function update() {
    updateSync();
    follow();
  }

  function hide() {
    show(null);
    opener?.focus();
  }

  root.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  WIDE.onchange = () => show(WIDE.matches ? (name ?? "sync") : name === "sync" ? null : name);
  show(WIDE.matches ? "sync" : null);
  return { open, update, toggle: (which) => (name === which ? hide() : open(which)) };
}
