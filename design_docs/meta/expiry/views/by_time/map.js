(doc) => {
  if (doc.type === "idempotency") {
    emit(doc.created_at, {rev: doc._rev});
  }
}
