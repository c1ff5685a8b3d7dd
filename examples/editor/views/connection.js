/** The dialog that asks for the service and the key, and the ways to forget them. */
import { Api, NoAnswer } from "../js/api.js";
import { checkedUrl } from "../js/session.js";
import { h, plural } from "./dom.js";

/** Show the dialog. `connect({url, key, isRemembered})` is called when the service has accepted the key. */
export function openConnection({ session, hint, waiting, connect, forgetKey, removeAll }) {
  const url = h("input", {
    id: "url",
    name: "url",
    type: "url",
    required: true,
    value: session.url ?? hint ?? "",
    autocomplete: "off",
    spellcheck: false,
  });
  const key = h("input", {
    id: "key",
    name: "key",
    type: "password",
    required: true,
    autocomplete: "off",
    spellcheck: false,
    "aria-describedby": "key-help",
  });
  const remember = (value, label, help) =>
    h(
      "label",
      { class: "radio" },
      h("input", { type: "radio", name: "remember", value, checked: (value === "yes") === session.isRemembered }),
      h("span", {}, label, h("small", {}, help)),
    );
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, "Connect");
  const dialog = h(
    "dialog",
    { id: "connection", "aria-labelledby": "connection-title", onclose: () => dialog.remove() },
    h(
      "form",
      { method: "dialog", onsubmit: submit },
      h("h2", { id: "connection-title" }, "Connect to the service"),
      h("label", { class: "field" }, h("span", {}, "Service"), url),
      h("label", { class: "field" }, h("span", {}, "API key"), key),
      h(
        "p",
        { class: "help", id: "key-help" },
        "The key is sent to this service only, in a header. It never becomes part of a URL.",
      ),
      h(
        "fieldset",
        {},
        h("legend", {}, "Keep the key"),
        remember(
          "no",
          "Until this tab is closed",
          "Your text stays on this device. After opening the editor again you enter the key once more.",
        ),
        remember(
          "yes",
          "On this device",
          "The editor syncs whenever it is opened. Anyone who uses this browser profile can use the key.",
        ),
      ),
      error,
      h("div", { class: "actions" }, button, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel")),
      (session.key || session.url) && forgetting(),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  (url.value ? key : url).focus();

  async function submit(event) {
    event.preventDefault();
    error.textContent = "";
    button.disabled = true;
    try {
      const chosen = {
        url: checkedUrl(url.value),
        key: key.value.trim(),
        isRemembered: dialog.querySelector("[value=yes]").checked,
      };
      await check(chosen);
      await connect(chosen);
      dialog.close();
    } catch (failure) {
      error.textContent = failure.message;
    } finally {
      button.disabled = false;
    }
  }

  function forgetting() {
    const loses = waiting ? ` ${plural(waiting, "change")} that the service does not have would be lost.` : "";
    const confirmed = () => confirm(`Remove the key and all documents from this device?${loses}`);
    return h(
      "details",
      { class: "forget" },
      h("summary", {}, "Leave this device"),
      h("button", { type: "button", onclick: () => (forgetKey(), dialog.close()) }, "Forget the key"),
      h("button", { type: "button", class: "danger", onclick: () => confirmed() && removeAll() }, "Remove everything"),
    );
  }
}

/** Ask the service whether it accepts the key. Raises Error with a sentence for the person. */
async function check({ url, key }) {
  try {
    await new Api(url, key).changes("now");
  } catch (error) {
    if (error.status === 401)
      throw new Error("The service does not accept this key: it is mistyped, revoked or expired.");
    if (error instanceof NoAnswer)
      throw new Error(
        `There is no answer from ${url}. Is the service running, and does it admit pages from ${location.origin} (DREAMSCRIPT_CORS_ORIGINS)?`,
      );
    throw error;
  }
}
