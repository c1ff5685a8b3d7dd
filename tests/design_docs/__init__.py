"""Tests of what lives inside CouchDB, run inside CouchDB."""
