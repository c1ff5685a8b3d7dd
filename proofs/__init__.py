"""Tests of what the service does while its database, its network or one of its processes fails."""
