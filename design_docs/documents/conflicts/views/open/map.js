(doc) => {
  // The other live leaves; most documents have none.
  if (doc.type === "document" && doc._conflicts) {
    emit(doc._id, {rev: doc._rev, project_id: doc.project_id, conflicts: doc._conflicts});
  }
}
