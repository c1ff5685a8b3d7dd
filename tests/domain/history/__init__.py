"""Tests of the versions of items."""
