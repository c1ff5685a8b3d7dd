"""One HTTP exchange with CouchDB, on python-couchdb: pool, deadline, and every failure one of four."""
