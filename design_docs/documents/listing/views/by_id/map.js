(doc) => {
  // The number in doc.id is not emitted: PouchDB gives large ones back slightly wrong.
  if (doc.type === "document") {
    emit(doc._id, {rev: doc._rev, project_id: doc.project_id});
  }
}
