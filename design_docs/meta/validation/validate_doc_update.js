(newDoc, oldDoc) => {
  // include rules.js

  if (newDoc._deleted) {
    // A claim that could be deleted could be made twice, and its ids be dealt out again.
    demand(/^usage:\d{16}$/.test(newDoc._id), "only a usage can be deleted here");
    demandMembers({}, {type: exactly("usage"), key: id});
    return;
  }
  demand(["claim", "usage"].includes(newDoc.type), "type must be one of claim, usage");
  if (newDoc.type === "usage") {
    demandMembers({type: exactly("usage"), key: id, last_used_at: time}, {});
    demandId(`usage:${digits(newDoc.key)}`);
    demandUnchanged(["type", "key"]);
    return;
  }
  const claim = {
    type: exactly("claim"),
    kind: oneOf(["document", "project", "key"]),
    number: integerFrom(0),
    region: integerFrom(0),
    created_at: time,
  };
  demandMembers(claim, {owner: textOf(0, 100)});
  demandId(`claim:${newDoc.kind}:${digits(newDoc.number)}`);
  demandUnchanged(Object.keys(claim).concat("owner"));
}
