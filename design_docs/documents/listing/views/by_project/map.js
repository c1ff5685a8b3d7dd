(doc) => {
  // Texts of sixteen digits sort like the numbers, and the _id makes every key unique.
  if (doc.type === "document" && Number.isSafeInteger(doc.project_id) && doc.project_id > 0) {
    emit([("0".repeat(15) + doc.project_id).slice(-16), doc._id], {rev: doc._rev, project_id: doc.project_id});
  }
}
