"""The versions of items, by the API."""
