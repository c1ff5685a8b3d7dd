"""Tests of the package that counts requests."""
