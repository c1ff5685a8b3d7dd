(newDoc, oldDoc) => {
  // include rules.js

  if (newDoc._deleted) {
    // The API keeps members that identify the deleted item; a tombstone from Fauxton has none.
    demandMembers({}, Object.assign({type: exactly("project"), id, created_at: time, updated_at: time, nonce}, origin));
    demand(newDoc.id === undefined || newDoc._id === `project:${digits(newDoc.id)}`, "id must match _id");
    return;
  }
  demandMembers(
    {type: exactly("project"), id, name: titleText, created_at: time, updated_at: time},
    Object.assign({description: text, deleting_at: time, nonce}, origin),
  );
  demandId(`project:${digits(newDoc.id)}`);
  demandUnchanged(["type", "id", "created_at"]);
}
