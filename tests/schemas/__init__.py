"""Tests of the promises of every endpoint."""
