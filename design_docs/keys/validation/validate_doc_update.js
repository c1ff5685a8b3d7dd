(newDoc, oldDoc) => {
  // include rules.js

  const scope = oneOf([
    "documents:read", "documents:write", "projects:read", "projects:write", "keys:manage", "operate",
  ]);
  const digest = matching(/^[0-9a-f]{64}$/, "be 64 hexadecimal digits");
  const ending = {type: oneOf(["revocation", "retirement"]), key: id, at: time, created_at: time};
  const kinds = {
    key: {
      required: {
        type: exactly("key"), id, principal: textOf(1, 100), name: titleText, scopes: listOf(scope, 1), digest, created_at: time,
      },
      optional: {
        projects: listOf(id, 0), documents: listOf(id, 0), out_of_scope: oneOf(["forbid", "hide"]), expires_at: time,
      },
      _id: () => `key:${digits(newDoc.id)}`,
    },
    digest: {
      required: {type: exactly("digest"), digest, key: id, created_at: time},
      optional: {},
      _id: () => `digest:${newDoc.digest}`,
    },
    revocation: {required: ending, optional: {}, _id: () => `revocation:${digits(newDoc.key)}`},
    retirement: {required: ending, optional: {}, _id: () => `retirement:${digits(newDoc.key)}`},
  };

  // A key that was deleted or changed could become valid again, so keys are only revoked.
  demand(!newDoc._deleted, "documents of this database cannot be deleted");
  demand(Object.keys(kinds).includes(newDoc.type), `type must be one of ${Object.keys(kinds).join(", ")}`);
  const kind = kinds[newDoc.type];
  demandMembers(kind.required, kind.optional);
  demandId(kind._id());
  demandUnchanged(Object.keys(Object.assign({}, kind.required, kind.optional)));
}
