"""Tests of the database servers that the project starts."""
