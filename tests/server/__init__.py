"""The server, live."""
