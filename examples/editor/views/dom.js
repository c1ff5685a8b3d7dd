/** Elements without a framework: make them, and keep lists of them in step with data. */

/** Make an element. Properties that begin with `on` are listeners; others are properties if there is one, else attributes. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) set(element, name, value);
  element.append(...children.flat(Infinity).filter((child) => child || child === 0));
  return element;
}

function set(element, name, value) {
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.className = value;
  else if (name in element && !name.startsWith("aria")) element[name] = value;
  else if (value === false || value === null || value === undefined) element.removeAttribute(name);
  else element.setAttribute(name, value === true && !name.startsWith("aria") ? "" : value);
}

/**
 * Give `parent` one child for each entry. Children of entries that stay are kept, and the focus in them.
 *
 * `key(entry)` identifies an entry, `make(entry)` makes its child, and `update(child, entry)` brings it up to date.
 */
export function keepList(parent, entries, key, make, update) {
  const children = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let previous = null;
  for (const entry of entries) {
    const name = String(key(entry));
    const child = children.get(name) ?? make(entry);
    children.delete(name);
    child.dataset.key = name;
    update(child, entry);
    const next = previous ? previous.nextElementSibling : parent.firstElementChild;
    if (next !== child) parent.insertBefore(child, next);
    previous = child;
  }
  for (const child of children.values()) child.remove();
}

/** Set text only if it differs, so that nothing is announced or selected again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** Return a moment as people write it: its time if it is today, else its day too. */
export function moment(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  return h("time", { dateTime: date.toISOString() }, (isToday ? CLOCK : DAY).format(date));
}

export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
