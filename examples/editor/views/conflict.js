/** A conflict between versions that the service could not merge, such as edits of the same lines in two regions. */
import { withoutId } from "../js/values.js";
import { hunksForm, wholeMerge } from "./hunks.js";
import { section } from "./section.js";

const HEADING = "This has more than one version";
const REASONS = {
  clash: "The same lines were changed in two places at once. Choose for each place; everything else is merged already.",
  no_base:
    "The versions cannot be merged, since the text that they started from is not known. Choose one for each place.",
  orphan: "A version belongs to a project that does not exist. Choose for each place.",
  loop: "The versions were merged many times without an end. Choose for each place.",
};

/** Show the conflict of an item in `root`, unless `isCurrent()` is false when the answer of the service arrives. */
export async function conflictView(root, app, { type, id }, isCurrent) {
  const show = (text, content = null) => root.replaceChildren(section({ heading: HEADING, text, content }));
  if (!app.isOnline) return show("The versions can be compared when there is a connection.");
  show("Loading the versions …");
  try {
    const conflict = await app.api.conflicts(type, id);
    if (!isCurrent()) return;
    if (conflict.pending) show("The service is comparing the versions.");
    else if (conflict.reason) show(REASONS[conflict.reason] ?? REASONS.no_base, form(app, type, id, conflict));
    else root.replaceChildren();
  } catch (error) {
    if (!isCurrent()) return;
    show(error.status === 404 ? "This service cannot show the versions." : `They cannot be shown: ${error.message}`);
  }
}

function form(app, type, id, { base, versions, merge }) {
  const tags = versions.map(({ etag }) => etag);
  const values = Object.fromEntries(versions.map(({ etag, value }) => [etag, withoutId(value)]));
  return hunksForm({
    type,
    merge: merge && Object.keys(merge).length ? merge : wholeMerge(base && withoutId(base.value), values),
    sides: versions.map(({ etag, updated_by: by }, index) => ({ id: etag, label: labelOf(index, by) })),
    choose: (value) => app.resolve(type, id, value, tags),
  });
}

const labelOf = (index, by) => `Version ${index + 1}${by ? `, by ${by}` : ""}`;
