// Each kind of value says whether a value is of it, and what a member of it must be.
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
const integerFrom = (lowest) => ({
  holds: (value) => Number.isSafeInteger(value) && value >= lowest,
  must: `be an integer from ${lowest} to 2^53-1`,
});
const id = integerFrom(1);
// With the flag u, only surrogates that are not part of a pair match; CouchDB itself refuses those.
const text = {
  holds: (value) => typeof value === "string" && !/[\u0000\ud800-\udfff]/u.test(value),
  must: "be text without NUL and lone surrogates",
};
// Characters are code points, of which a string's length counts some twice.
const textOf = (shortest, longest) => ({
  holds: (value) =>
    text.holds(value) &&
    value.length >= shortest &&
    value.length <= 2 * longest &&
    Array.from(value).length <= longest,
  must: `be text of ${shortest} to ${longest} characters, without NUL and lone surrogates`,
});
const name = textOf(1, 300);
const time = matching(
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/,
  "be a time in UTC like 2026-01-31T12:00:00.123456Z",
);
const nonce = matching(/^[0-9a-f]{32}$/, "be 32 hexadecimal digits");
const listOf = (kind, fewest) => ({
  holds: (value) =>
    Array.isArray(value) &&
    value.length >= fewest &&
    value.every((item, at) => kind.holds(item) && value.indexOf(item) === at),
  must: `be a list of at least ${fewest} different values, each of which must ${kind.must}`,
});
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

// What the database itself adds, or reads and does not store.
const own = ["_id", "_rev", "_revisions", "_deleted", "_conflicts", "_deleted_conflicts", "_revs_info", "_local_seq"];
const demandMembers = (required, optional) => {
  const kinds = Object.assign({}, required, optional);
  Object.keys(newDoc).forEach((member) => {
    const isKnown = Object.keys(kinds).includes(member);
    demand(isKnown || own.includes(member), `${member} is not a member that is known here`);
    demand(!isKnown || kinds[member].holds(newDoc[member]), `${member} must ${isKnown && kinds[member].must}`);
  });
  Object.keys(required).forEach((member) => {
    demand(Object.keys(newDoc).includes(member), `${member} must be there`);
  });
};
const demandId = (expected) => demand(newDoc._id === expected, `_id must be ${expected}`);
// A write that names no revision is no change of oldDoc: the database itself answers that with a conflict.
const isChange = oldDoc && !oldDoc._deleted && newDoc._rev !== undefined;
const demandUnchanged = (members) => {
  members.forEach((member) => {
    const isSame = !isChange || JSON.stringify(newDoc[member]) === JSON.stringify(oldDoc[member]);
    demand(isSame, `${member} cannot be changed`);
  });
};
