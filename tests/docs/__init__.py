"""Tests of the examples in the pages of `docs/`: each runs as a reader would run it."""
