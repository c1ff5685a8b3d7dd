(newDoc, oldDoc) => {
  // include rules.js

  if (newDoc._deleted) {
    // A tombstone keeps what tells whose it was; Fauxton leaves a bare one.
    demandMembers({}, {type: exactly("document"), id, project_id: id, updated_at: time, nonce});
    demand(newDoc.id === undefined || newDoc._id === `document:${digits(newDoc.id)}`, "id must agree with _id");
    return;
  }
  demandMembers(
    {type: exactly("document"), id, title: name, created_at: time, updated_at: time},
    {content: text, project_id: id, nonce},
  );
  demandId(`document:${digits(newDoc.id)}`);
  demandUnchanged(["type", "id", "created_at"]);
}
