/** One message at the bottom of the page, with an action if there is one. Screen readers announce it. */
import { h } from "./dom.js";

const root = document.getElementById("messages");

export function showMessage(text, action = null) {
  const close = () => root.replaceChildren();
  const run = () => (close(), action.act());
  const button = action && h("button", { type: "button", id: "message-action", onclick: run }, action.label);
  root.replaceChildren(
    h(
      "div",
      { class: "message" },
      h("p", {}, text),
      button,
      h("button", { type: "button", class: "quiet", onclick: close, "aria-label": "Close the message" }, "✕"),
    ),
  );
  // The element that had the focus may be gone, such as the button that deleted its document.
  if (document.activeElement === document.body) button?.focus();
}
