(doc) => {
  // The other live leaves; most projects have none.
  if (doc.type === "project" && doc._conflicts) {
    emit(doc._id, {rev: doc._rev, conflicts: doc._conflicts});
  }
}
