(doc) => {
  // doc.id is not emitted, since PouchDB returns large numbers slightly wrong.
  if (doc.type === "document") {
    emit(doc._id, {rev: doc._rev, project_id: doc.project_id});
  }
}
