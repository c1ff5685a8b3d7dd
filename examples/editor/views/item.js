/** The editor of one document or project. Each keystroke is stored on this device at once. */
import { movedPosition } from "../js/diff.js";
import { cleanText, shownText, storedText } from "../js/line-endings.js";
import { TYPES, titleOf, withMember } from "../js/values.js";
import { h, setAttribute, setText } from "./dom.js";
import { stateOf } from "./list.js";
import { noteText } from "./notes.js";
import { problemView } from "./problem.js";

const MAX_TITLE_LENGTH = 300;

export class ItemView {
  #app;
  #place;
  #parts;
  #updateProblem;
  #shown = null; // The value on the screen.
  #writes = 0; // Keystrokes that are being stored: the screen is ahead of the copy.

  /** Build the editor of the item at `place` into `root`. */
  constructor(root, app, place, { panel, create }) {
    this.#app = app;
    this.#place = place;
    this.#parts = fields(place.type, () => this.#typed());
    const { title, text, problem, note } = this.#parts;
    // Nothing replaces the text while an input method composes a word in it.
    text.oncompositionstart = () => this.#writes++;
    text.oncompositionend = () => (this.#writes--, this.update());
    const toolbar = this.#toolbar(panel, create);
    root.replaceChildren(h("article", { class: "item" }, toolbar, title, problem, text, note));
    this.#updateProblem = problemView(problem, app, place);
  }

  get key() {
    return this.#place.key;
  }

  /** Bring the screen up to date. Returns whether the item exists. */
  update() {
    const { copy, isOnline } = this.#app;
    const value = copy.value(this.key);
    if (!value) return false;
    if (!this.#writes) this.#show(value);
    const { chip, versions, note } = this.#parts;
    const state = stateOf(copy.edit(this.key), copy.item(this.key));
    setText(chip, { saved: "Saved", queued: isOnline ? "Saving" : "Queued", problem: "Needs you" }[state]);
    setAttribute(chip, "data-state", state);
    setText(note, this.#note(state));
    versions.hidden = !copy.item(this.key);
    this.#updateProblem();
    return true;
  }

  #toolbar(panel, create) {
    const { type, id } = this.#place;
    const { project, chip, versions } = this.#parts;
    versions.onclick = () => panel.open("versions");
    return h(
      "div",
      { class: "toolbar" },
      type === "document" && h("label", { class: "field" }, h("span", {}, "Project"), project),
      type === "project" && button("add", "New document here", () => create("document")),
      chip,
      h(
        "span",
        { class: "buttons" },
        button("save", "Save", this.#app.wake),
        versions,
        button("delete", "Delete", () => this.#app.remove(type, id), "quiet"),
      ),
    );
  }

  async #typed() {
    const { type, id } = this.#place;
    const from = this.#shown;
    this.#shown = this.#typedValue(from);
    this.#writes++;
    try {
      await this.#app.store(() => this.#app.copy.type(type, id, from, this.#shown));
    } finally {
      this.#writes--;
      this.update();
    }
  }

  /** Return the value on the screen, with those members of `from` that nobody has touched. */
  #typedValue(from) {
    const { title: titleMember, text: textMember } = TYPES[this.#place.type];
    const { title, text, project } = this.#parts;
    const newTitle = title.value.trim() ? cleanText(title.value) : from[titleMember]; // A title is never empty.
    const isAbsent = text.value === "" && from[textMember] === undefined;
    const newText = isAbsent ? undefined : storedText(from[textMember], cleanText(text.value));
    const value = withMember(withMember(from, titleMember, newTitle), textMember, newText);
    if (this.#place.type === "project") return value;
    return withMember(value, "project_id", project.value ? Number(project.value) : undefined);
  }

  #show(value) {
    this.#showProjects(value);
    if (this.#shown === value) return;
    const { title: titleMember, text: textMember } = TYPES[this.#place.type];
    const { title, text } = this.#parts;
    if (title.value !== value[titleMember]) title.value = value[titleMember];
    const newText = shownText(value[textMember]);
    if (text.value !== newText) replaceText(text, newText);
    this.#shown = value;
  }

  #showProjects({ project_id: id }) {
    const { project } = this.#parts;
    const projects = this.#app.copy.list("project").map((each) => [String(each.id), titleOf("project", each.value)]);
    const own = String(id ?? "");
    const isKnown = !own || projects.some(([option]) => option === own);
    const options = [["", "None"], ...projects, ...(isKnown ? [] : [[own, `Project ${own}`]])];
    if (JSON.stringify(options) !== project.dataset.options) {
      project.replaceChildren(...options.map(([value, label]) => h("option", { value }, label)));
      project.dataset.options = JSON.stringify(options);
    }
    if (project.value !== own) project.value = own;
  }

  #note(state) {
    const { type, id } = this.#place;
    const last = this.#app.copy.notes().find((note) => note.type === type && note.id === id);
    if (last) return noteText(last);
    return state === "saved" ? "Saved on the service and on this device." : "Saved on this device.";
  }
}

/** Return the elements of the editor for a type of items; `typed` is called at each change by the person. */
function fields(type, typed) {
  const isDocument = type === "document";
  return {
    title: h("input", {
      class: "title",
      id: "title",
      "aria-label": isDocument ? "Title" : "Name",
      maxLength: MAX_TITLE_LENGTH,
      autocomplete: "off",
      oninput: typed,
    }),
    text: h("textarea", {
      class: `text ${type}`,
      id: "text",
      "aria-label": TYPES[type].textLabel,
      spellcheck: true,
      placeholder: isDocument ? "Write here." : "What is this project about?",
      oninput: typed,
    }),
    project: h("select", { id: "project", onchange: typed }),
    chip: h("span", { class: "chip", id: "item-state" }),
    versions: button("versions", "Versions"),
    problem: h("div"),
    note: h("p", { class: "note", id: "item-note" }),
  };
}

function button(id, label, onclick = null, style = "") {
  return h("button", { type: "button", id, class: style, ...(onclick && { onclick }) }, label);
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
