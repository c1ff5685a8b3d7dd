"""The deploy tool: puts design documents, databases and their security into CouchDB; never imports app."""
