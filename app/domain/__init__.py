"""The rules of the service: what may be read and written, by whom, under which ids; knows no HTTP and no CouchDB."""
