"""Measures what the service costs and how fast it is, beside CouchDB alone wherever that means something."""
