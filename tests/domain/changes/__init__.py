"""Tests of app/domain/changes."""
