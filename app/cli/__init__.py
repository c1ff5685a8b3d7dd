"""The operators' commands, on the same domain as the HTTP API."""
