"""Tests of the working set of a batch."""
