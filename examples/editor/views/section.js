/** The frame of a problem that waits for a person. */
import { h } from "./dom.js";

/** Return a problem with its heading, its text and its actions. */
export function section({ heading, text, content }) {
  const parts = [h("h2", {}, heading), h("p", {}, text), content];
  return h("section", { class: "problem", role: "region", "aria-label": heading }, parts);
}
