"""Tests of the path that hot reads take."""
