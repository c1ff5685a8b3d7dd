"""The REST API over CouchDB: create_app is the only wiring."""
