(newDoc, oldDoc) => {
  // include rules.js

  if (newDoc._deleted) {
    // Versions end by retention. Without the mark, they would be captured again.
    demand(/^version:/.test(newDoc._id), "only versions can be deleted");
    demandMembers({}, {});
    return;
  }
  const members = {
    document: {title: titleText, content: text, project_id: id},
    project: {name: titleText, description: text},
  };
  const known = members[newDoc.item] || {};
  const value = {
    holds: (value) =>
      value !== null &&
      typeof value === "object" &&
      Object.keys(value).every((name) => Object.keys(known).includes(name) && known[name].holds(value[name])),
    must: "hold public members of its item",
  };
  const item = oneOf(Object.keys(members));
  const kinds = {
    version: {
      required: {type: exactly("version"), item, id, value, parents: listOf(revision, 0)},
      optional: {
        created_at: time, updated_at: time, updated_by: origin.updated_by, nonce, deleted: exactly(true),
      },
      _id: /^version:(document|project):\d{16}:\d{10}-[0-9a-f]{32}$/,
    },
    // Compaction removed its body first. If another region has the body, both exist.
    lost: {
      required: {type: exactly("lost"), item, id, parents: listOf(revision, 0), lost: exactly(true)},
      optional: {},
      _id: /^version:(document|project):\d{16}:\d{10}-[0-9a-f]{32}:lost$/,
    },
    forgotten: {
      required: {type: exactly("forgotten"), item, id},
      optional: {},
      _id: /^forgotten:(document|project):\d{16}$/,
    },
  };

  demand(Object.keys(kinds).includes(newDoc.type), `type must be one of ${Object.keys(kinds).join(", ")}`);
  const kind = kinds[newDoc.type];
  demandMembers(kind.required, kind.optional);
  demand(kind._id.test(newDoc._id), `_id must match ${kind._id.source}`);
  demand(newDoc._id.split(":").slice(1, 3).join(":") === `${newDoc.item}:${digits(newDoc.id)}`, "_id must name the item");
  demandUnchanged(Object.keys(Object.assign({}, kind.required, kind.optional)));
}
