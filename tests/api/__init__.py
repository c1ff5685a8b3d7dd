"""Tests of the public API as a black box."""
