"""The transport to CouchDB, against servers that misbehave."""
