"""Followers of the databases' feeds."""
