(newDoc, oldDoc) => {
  // include rules.js

  if (newDoc._deleted) {
    // If a claim were deleted, its ids could be claimed and used again.
    const isTemporary = /^(usage:\d{16}|idempotency:[0-9a-f]{64})$/.test(newDoc._id);
    demand(isTemporary, "only documents of type usage or idempotency can be deleted");
    demandMembers({}, {type: oneOf(["usage", "idempotency"]), key: id});
    return;
  }
  const types = ["claim", "usage", "idempotency", "lease"];
  demand(types.includes(newDoc.type), `type must be one of ${types.join(", ")}`);
  if (newDoc.type === "lease") {
    const name = matching(/^[a-z]{1,40}$/, "be 1 to 40 letters from a to z");
    demandMembers({type: exactly("lease"), name, holder: nonce, until: time}, {});
    demandId(`lease:${newDoc.name}`);
    return;
  }
  if (newDoc.type === "usage") {
    demandMembers({type: exactly("usage"), key: id, last_used_at: time}, {});
    demandId(`usage:${digits(newDoc.key)}`);
    demandUnchanged(["type", "key"]);
    return;
  }
  if (newDoc.type === "idempotency") {
    const isAnswer = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
    demandMembers(
      {
        type: exactly("idempotency"),
        request: matching(/^[0-9a-f]{64}$/, "be 64 hexadecimal digits"),
        attempt: nonce,
        ids: listOf(id, 0),
        created_at: time,
        leased_until: time,
      },
      {nonce, answer: {holds: isAnswer, must: "be an object"}},
    );
    demand(/^idempotency:[0-9a-f]{64}$/.test(newDoc._id), "_id must be idempotency: and 64 hexadecimal digits");
    return;
  }
  const claim = {
    type: exactly("claim"),
    kind: oneOf(["document", "project", "key"]),
    number: integerFrom(0),
    region: integerFrom(0),
    created_at: time,
  };
  demandMembers(claim, {});
  demandId(`claim:${newDoc.kind}:${digits(newDoc.number)}`);
  demandUnchanged(Object.keys(claim));
}
