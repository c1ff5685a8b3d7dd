/** A conflict between versions that the service could not merge, such as edits of the same lines in two regions. */
import { keyOf, withoutId } from "../js/values.js";
import { h } from "./dom.js";
import { hunksForm, wholeMerge } from "./hunks.js";

const REASONS = {
  clash: "The same lines were changed in two places at once. Choose for each place; everything else is merged already.",
  no_base:
    "The text that the versions started from is not known, so that they cannot be compared. Choose a whole version.",
  orphan: "The versions move the document to a project that does not exist. Choose a version.",
  loop: "The versions were merged many times without an end. Choose a version.",
};

/** Show the conflict of an item in `root`. */
export async function conflictView(root, context, type, id) {
  const heading = h("h2", {}, "This has more than one version");
  const text = h("p", {}, "Loading the versions …");
  const place = h("div");
  root.replaceChildren(
    h("section", { class: "problem", role: "region", "aria-label": "Conflict" }, heading, text, place),
  );
  if (!context.isOnline()) {
    text.textContent = "The versions can be compared when there is a connection.";
    return;
  }
  try {
    const conflict = await context.getApi().conflicts(type, id);
    if (!conflict.reason) return root.replaceChildren();
    text.textContent = REASONS[conflict.reason] ?? REASONS.no_base;
    place.replaceChildren(form(context, type, id, conflict));
  } catch (error) {
    text.textContent =
      error.status === 404
        ? "This service cannot show the versions of a conflict."
        : `The versions cannot be shown: ${error.message}`;
  }
}

function form(context, type, id, { base, versions, merge }) {
  const sides = versions.map(({ etag, updated_by: by }, index) => ({
    id: etag,
    label: `Version ${index + 1}${by ? `, by ${by}` : ""}`,
  }));
  const values = Object.fromEntries(versions.map(({ etag, value }) => [etag, withoutId(value)]));
  const choose = async (value) => {
    const copy = context.getCopy();
    const resolved = await context.attempt(() =>
      context.getApi().resolve(
        type,
        id,
        value,
        sides.map((side) => side.id),
      ),
    );
    if (!resolved) return;
    await context.store(() => copy.put(type, id, resolved.etag, resolved.value));
    // An edit that waited for this is sent now, and merged into the result.
    if (copy.edit(keyOf(type, id))) await context.retry(type, id);
  };
  return hunksForm({
    type,
    merge: merge && Object.keys(merge).length ? merge : wholeMerge(base?.value ?? {}, values),
    sides,
    choose,
  });
}
