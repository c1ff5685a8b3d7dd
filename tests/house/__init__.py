"""Tests of the house itself: rooms, documents, duplicates of truth."""
