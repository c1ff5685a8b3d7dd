"""Tests of the launcher, which prepares a machine with nothing but Python."""
