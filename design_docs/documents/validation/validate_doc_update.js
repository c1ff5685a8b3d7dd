(newDoc, oldDoc) => {
  // include rules.js

  if (newDoc._deleted) {
    // The API keeps members that identify the deleted item; a tombstone from Fauxton has none.
    demandMembers({}, {type: exactly("document"), id, project_id: id, updated_at: time, nonce});
    demand(newDoc.id === undefined || newDoc._id === `document:${digits(newDoc.id)}`, "id must match _id");
    return;
  }
  demandMembers(
    {type: exactly("document"), id, title: titleText, created_at: time, updated_at: time},
    {content: text, project_id: id, nonce},
  );
  demandId(`document:${digits(newDoc.id)}`);
  demandUnchanged(["type", "id", "created_at"]);
}
