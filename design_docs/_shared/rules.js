// A kind of value has a predicate, and the words for the reason: "<member> must <must>".
const exactly = (expected) => ({
  holds: (value) => value === expected,
  must: `be ${JSON.stringify(expected)}`,
});
const oneOf = (values) => ({
  holds: (value) => values.includes(value),
  must: `be one of ${values.join(", ")}`,
});
const matching = (pattern, must) => ({
  holds: (value) => typeof value === "string" && pattern.test(value),
  must,
});
const integerFrom = (min) => ({
  holds: (value) => Number.isSafeInteger(value) && value >= min,
  must: `be an integer from ${min} to 2^53-1`,
});
const id = integerFrom(1);
// With the flag u, the pattern matches only surrogates outside a pair; CouchDB itself refuses those.
const text = {
  holds: (value) => typeof value === "string" && !/[\u0000\ud800-\udfff]/u.test(value),
  must: "be text without NUL or lone surrogates",
};
// A character is a code point; the length of a string counts some of them twice.
const textOf = (min, max) => ({
  holds: (value) =>
    text.holds(value) &&
    value.length >= min &&
    value.length <= 2 * max &&
    Array.from(value).length <= max,
  must: `be text of ${min} to ${max} characters, without NUL or lone surrogates`,
});
const titleText = textOf(1, 300);
const time = matching(
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/,
  "be a time in UTC like 2026-01-31T12:00:00.123456Z",
);
const nonce = matching(/^[0-9a-f]{32}$/, "be 32 hexadecimal digits");
const listOf = (kind, min) => ({
  holds: (value) =>
    Array.isArray(value) &&
    value.length >= min &&
    value.every((item, index) => kind.holds(item) && value.indexOf(item) === index),
  must: `be a list of at least ${min} distinct values, and each must ${kind.must}`,
});
const revision = matching(/^[1-9]\d*-[0-9a-f]{32}$/, "be a revision like 3- and 32 hexadecimal digits");
const revisions = {
  holds: (value) =>
    listOf(revision, 1).holds(value) && value.every((item, index) => index === 0 || value[index - 1] < item),
  must: "be a sorted list of at least 1 distinct revisions",
};
// The hidden members that say how a revision came about: the principal or "merge", the leaves that a merge joined, and
// the version that was restored.
const origin = {updated_by: textOf(1, 100), merged_from: revisions, restored_from: revision};
const digits = (number) => ("0".repeat(15) + number).slice(-16);

const demand = (holds, reason) => {
  if (!holds) {
    throw({forbidden: reason});
  }
};
const isDeeperThan = (levels, value) =>
  value !== null &&
  typeof value === "object" &&
  (levels === 0 || Object.keys(value).some((name) => isDeeperThan(levels - 1, value[name])));
demand(!isDeeperThan(20, newDoc), "nesting must be at most 20 levels");

// CouchDB adds these members, or reads them without storing them.
const own = ["_id", "_rev", "_revisions", "_deleted", "_conflicts", "_deleted_conflicts", "_revs_info", "_local_seq"];
const demandMembers = (required, optional) => {
  const kinds = Object.assign({}, required, optional);
  Object.keys(newDoc).forEach((member) => {
    const isKnown = Object.keys(kinds).includes(member);
    demand(isKnown || own.includes(member), `${member} is not a known member`);
    demand(!isKnown || kinds[member].holds(newDoc[member]), `${member} must ${isKnown && kinds[member].must}`);
  });
  Object.keys(required).forEach((member) => {
    demand(Object.keys(newDoc).includes(member), `${member} is required`);
  });
};
const demandId = (expected) => demand(newDoc._id === expected, `_id must be ${expected}`);
// A write without a revision does not change oldDoc: CouchDB answers it with a conflict.
const isChange = oldDoc && !oldDoc._deleted && newDoc._rev !== undefined;
const demandUnchanged = (members) => {
  members.forEach((member) => {
    const isSame = !isChange || JSON.stringify(newDoc[member]) === JSON.stringify(oldDoc[member]);
    demand(isSame, `${member} cannot be changed`);
  });
};
