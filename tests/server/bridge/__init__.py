"""The bridge from ASGI to WSGI, by itself."""
