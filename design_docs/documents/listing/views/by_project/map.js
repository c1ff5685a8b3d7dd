(doc) => {
  // Sixteen digits sort as text like the numbers do, and no two keys are alike.
  if (doc.type === "document" && Number.isSafeInteger(doc.project_id) && doc.project_id > 0) {
    emit([("0".repeat(15) + doc.project_id).slice(-16), doc._id], {rev: doc._rev, project_id: doc.project_id});
  }
}
