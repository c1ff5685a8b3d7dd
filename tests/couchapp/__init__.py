"""Tests of the deploy tool."""
