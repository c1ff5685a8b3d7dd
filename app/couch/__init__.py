"""One HTTP request to CouchDB, on python-couchdb: pooled connections, a deadline, and four kinds of failure."""
