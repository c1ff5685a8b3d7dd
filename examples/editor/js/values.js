/** The two types of items, and the functions for values of both. */

/** The members that people see as title and text, and the path of each type. */
export const TYPES = {
  document: { path: "documents", name: "document", title: "title", text: "content", textLabel: "Text" },
  project: { path: "projects", name: "project", title: "name", text: "description", textLabel: "Description" },
};

export const keyOf = (type, id) => `${type}:${id}`;

/** Return a value as batches expect it: an item without its id. */
export function withoutId({ id: _, ...members }) {
  return members;
}

/** Return whether two values have equal members, in any order. */
export function isEqual(a, b) {
  const canonical = (value) => JSON.stringify(Object.entries(value ?? {}).sort());
  return canonical(a) === canonical(b);
}

/** Return `value` with one member set, or without it if `content` is undefined. */
export function withMember(value, member, content) {
  const { [member]: _, ...others } = value;
  return content === undefined ? others : { ...others, [member]: content };
}

export function titleOf(type, value) {
  return value?.[TYPES[type].title]?.trim() || "Untitled";
}
