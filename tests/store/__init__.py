"""Tests of the store: failures of the database, reads and writes."""
