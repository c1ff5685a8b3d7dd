"""Tests of the house itself: packages, documents, duplicates of truth."""
