"""Tests of the service during failures of its database, its network or its processes."""
