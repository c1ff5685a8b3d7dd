"""The rules of the service: access, ids, items, pages and batches; knows no HTTP and no CouchDB."""
