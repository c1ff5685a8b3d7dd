(doc) => {
  // The number in doc.id is not emitted: PouchDB gives large ones back slightly wrong.
  if (doc.type === "project") {
    emit(doc._id, {rev: doc._rev});
  }
}
