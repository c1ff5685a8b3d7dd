(doc) => {
  // doc.id is not emitted, since PouchDB returns large numbers slightly wrong.
  if (doc.type === "project") {
    emit(doc._id, {rev: doc._rev});
  }
}
