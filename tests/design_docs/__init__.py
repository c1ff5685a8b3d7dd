"""Tests of the design documents, run by the database."""
