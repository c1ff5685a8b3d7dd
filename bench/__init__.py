"""Measure the speed and cost of the service, compared with CouchDB alone where possible."""
