(newDoc, oldDoc) => {
  // include rules.js

  // The projects that the document has left, for clients that follow the changes with a limited key.
  const isDeparture = (value) =>
    value !== null &&
    typeof value === "object" &&
    Object.keys(value).sort().join() === "at,generation,project" &&
    id.holds(value.project) &&
    integerFrom(2).holds(value.generation) &&
    time.holds(value.at);
  const left = {
    holds: (value) =>
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((entry, index) => isDeparture(entry) && (index === 0 || value[index - 1].project < entry.project)),
    must: "be a list of project, generation and at, sorted by project",
  };
  if (newDoc._deleted) {
    // The API keeps members that identify the deleted item; a tombstone from Fauxton has none.
    demandMembers(
      {},
      Object.assign(
        {type: exactly("document"), id, project_id: id, created_at: time, updated_at: time, nonce, left},
        origin,
      ),
    );
    demand(newDoc.id === undefined || newDoc._id === `document:${digits(newDoc.id)}`, "id must match _id");
    return;
  }
  demandMembers(
    {type: exactly("document"), id, title: titleText, created_at: time, updated_at: time},
    Object.assign({content: text, project_id: id, nonce, left}, origin),
  );
  demandId(`document:${digits(newDoc.id)}`);
  demandUnchanged(["type", "id", "created_at"]);
}
