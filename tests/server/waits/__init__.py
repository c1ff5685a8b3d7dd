"""Clients that wait, on the bridge by itself."""
