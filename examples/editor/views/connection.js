/** The dialog that asks for the service and the key, and the ways to forget them. */
import { Api, NoAnswer } from "../js/api.js";
import { checkedKey, checkedUrl } from "../js/session.js";
import { h, plural } from "./dom.js";

/** Show the dialog. It closes when the service has accepted the key. */
export async function openConnection(app) {
  const url = textField("url", { type: "url", value: app.session.url ?? (await suggestedUrl()) });
  const key = textField("key", { type: "password", "aria-describedby": "key-help" });
  const error = h("p", { class: "error", role: "alert" });
  const submit = h("button", { class: "primary", type: "submit" }, "Connect");
  const close = () => dialog.close();
  const dialog = h(
    "dialog",
    { id: "connection", "aria-labelledby": "connection-title", onclose: () => dialog.remove() },
    h(
      "form",
      { method: "dialog", onsubmit: connect },
      h("h2", { id: "connection-title" }, "Connect to the service"),
      h("label", { class: "field" }, h("span", {}, "Service"), url),
      h("label", { class: "field" }, h("span", {}, "API key"), key),
      h(
        "p",
        { class: "help", id: "key-help" },
        "It is sent to this service only, in a header, and never part of a URL.",
      ),
      placesForTheKey(app.session.isRemembered),
      error,
      h("div", { class: "actions" }, submit, h("button", { type: "button", onclick: close }, "Cancel")),
      app.session.url && waysToForget(app, close),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  (url.value ? key : url).focus();

  async function connect(event) {
    event.preventDefault();
    error.textContent = "";
    submit.disabled = true;
    try {
      const isRemembered = dialog.querySelector("[value=yes]").checked;
      const session = { url: checkedUrl(url.value), key: checkedKey(key.value), isRemembered };
      await check(session);
      await app.connect(session);
      close();
    } catch (failure) {
      error.textContent = failure.message;
    } finally {
      submit.disabled = false;
    }
  }
}

function textField(id, properties) {
  return h("input", { id, required: true, autocomplete: "off", spellcheck: false, ...properties });
}

/** Return the URL that the server of the page suggests. */
async function suggestedUrl() {
  try {
    return (await (await fetch("service.json")).json()).url;
  } catch {
    return "";
  }
}

function placesForTheKey(isRemembered) {
  const place = (value, label, help) =>
    h(
      "label",
      { class: "radio" },
      h("input", { type: "radio", name: "remember", value, checked: (value === "yes") === isRemembered }),
      h("span", {}, label, h("small", {}, help)),
    );
  return h(
    "fieldset",
    {},
    h("legend", {}, "Keep the key"),
    place("no", "Until this tab is closed", "Your text stays on this device. Next time you enter the key once more."),
    place("yes", "On this device", "The editor syncs whenever it is opened. Anyone with this browser can use the key."),
  );
}

function waysToForget(app, close) {
  const waiting = app.copy?.edits().length ?? 0;
  const loses = waiting ? ` ${plural(waiting, "change")} that the service does not have would be lost.` : "";
  const isConfirmed = () => confirm(`Remove the key and all documents from this device?${loses}`);
  const forget = () => (app.forgetKey(), close());
  const remove = () => isConfirmed() && app.removeAll();
  return h(
    "details",
    { class: "forget" },
    h("summary", {}, "Leave this device"),
    h("button", { type: "button", onclick: forget }, "Forget the key"),
    h("button", { type: "button", class: "danger", onclick: remove }, "Remove everything"),
  );
}

/** Ask the service whether it accepts the key. Raises Error with a sentence for the person. */
async function check({ url, key }) {
  try {
    await new Api(url, key).changes("now");
  } catch (error) {
    if (error.status === 401)
      throw new Error("The service does not accept this key: it is mistyped, revoked or expired.");
    if (!(error instanceof NoAnswer)) throw error;
    const origin = `does it admit pages from ${location.origin} (DREAMSCRIPT_CORS_ORIGINS)`;
    throw new Error(`There is no answer from ${url}. Is the service running, and ${origin}?`);
  }
}
