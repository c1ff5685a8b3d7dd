/** The editor of one document or project. Each keystroke is stored on this device at once. */
import { movedPosition } from "../js/diff.js";
import { cleanText, shownText, storedText } from "../js/line-endings.js";
import { TYPES, titleOf, withMember } from "../js/values.js";
import { h, setAttribute, setText } from "./dom.js";
import { stateOf } from "./list.js";
import { noteText } from "./notes.js";
import { problemView } from "./problem.js";

const MAX_TITLE_LENGTH = 300;

/** Build the editor of an item into `root`. Returns `{update, isFor}`. */
export function itemView(root, context, type, id) {
  const { title: titleMember, text: textMember, textLabel, name } = TYPES[type];
  const key = `${type}:${id}`;
  let shown = null; // The value on the screen.
  let writes = 0;

  const title = h("input", {
    class: "title",
    id: "title",
    "aria-label": titleMember === "name" ? "Name" : "Title",
    maxLength: MAX_TITLE_LENGTH,
    autocomplete: "off",
    oninput: typed,
  });
  const text = h("textarea", {
    class: `text ${type}`,
    id: "text",
    "aria-label": textLabel,
    spellcheck: true,
    oninput: typed,
    placeholder: type === "document" ? "Write here." : "What is this project about?",
  });
  // Nothing replaces the text while an input method composes a word in it.
  text.oncompositionstart = () => writes++;
  text.oncompositionend = () => (writes--, update());
  const chip = h("span", { class: "chip", id: "item-state" });
  const project = type === "document" && h("select", { id: "project", onchange: typed });
  const projectLabel = project && h("label", { class: "field" }, h("span", {}, "Project"), project);
  const add =
    type === "project" &&
    h("button", { type: "button", onclick: () => context.create("document", id) }, "New document here");
  const save = h("button", { type: "button", id: "save", title: "Ctrl+S", onclick: () => context.wake() }, "Save");
  const versions = h(
    "button",
    { type: "button", id: "versions", onclick: () => context.openPanel("versions") },
    "Versions",
  );
  const remove = h(
    "button",
    { type: "button", id: "delete", class: "quiet", onclick: () => context.remove(type, id) },
    "Delete",
  );
  const toolbar = h(
    "div",
    { class: "toolbar" },
    projectLabel,
    add,
    chip,
    h("span", { class: "buttons" }, save, versions, remove),
  );
  const problem = h("div", { class: "problem-place" });
  const note = h("p", { class: "note", id: "item-note" });
  root.replaceChildren(h("article", { class: "item", "aria-label": name }, toolbar, title, problem, text, note));
  const updateProblem = problemView(problem, context, type, id);

  function typed() {
    const from = shown;
    const newTitle = title.value.trim() ? cleanText(title.value) : from[titleMember]; // A title is never empty.
    const content =
      text.value === "" && from[textMember] === undefined
        ? undefined
        : storedText(from[textMember], cleanText(text.value));
    let value = withMember(withMember(from, titleMember, newTitle), textMember, content);
    if (project) value = withMember(value, "project_id", project.value ? Number(project.value) : undefined);
    shown = value;
    writes++;
    context
      .store(() => context.getCopy().type(type, id, from, value))
      .finally(() => {
        writes--;
        update();
      });
  }

  function update() {
    const copy = context.getCopy();
    const value = copy.value(key);
    if (!value) return false;
    // The screen is ahead of the copy until the last keystroke is stored.
    if (!writes) show(value, copy);
    const [edit, item] = [copy.edit(key), copy.item(key)];
    const state = stateOf(edit, item);
    setText(chip, { saved: "Saved", queued: context.isOnline() ? "Saving" : "Queued", problem: "Needs you" }[state]);
    setAttribute(chip, "data-state", state);
    versions.hidden = !item;
    updateProblem();
    const last = copy.notes().find((each) => each.type === type && each.id === id);
    setText(
      note,
      last
        ? noteText(last)
        : `${state === "saved" ? "Saved on the service and on this device." : "Saved on this device."}`,
    );
    return true;
  }

  function show(value, copy) {
    showProjects(value, copy);
    if (shown === value) return;
    if (title.value !== value[titleMember]) title.value = value[titleMember];
    const newText = shownText(value[textMember]);
    if (text.value !== newText) replaceText(text, newText);
    shown = value;
  }

  function showProjects(value, copy) {
    if (!project) return;
    const options = copy.list("project").map((entry) => [String(entry.id), titleOf("project", entry.value)]);
    const own = String(value.project_id ?? "");
    if (own && !options.some(([option]) => option === own)) options.push([own, `Project ${own}`]);
    const wanted = [["", "None"], ...options];
    if (JSON.stringify(wanted) !== project.dataset.options) {
      project.replaceChildren(...wanted.map(([option, label]) => h("option", { value: option }, label)));
      project.dataset.options = JSON.stringify(wanted);
    }
    if (project.value !== own) project.value = own;
  }

  return { update, isFor: (otherType, otherId) => otherType === type && otherId === id };
}

/** Put a new text into the editor, and leave the cursor at the words where it was. */
function replaceText(field, text) {
  const { value, selectionStart, selectionEnd, scrollTop } = field;
  const isFocused = document.activeElement === field;
  field.value = text;
  if (!isFocused) return;
  field.setSelectionRange(movedPosition(value, text, selectionStart), movedPosition(value, text, selectionEnd));
  field.scrollTop = scrollTop;
}
