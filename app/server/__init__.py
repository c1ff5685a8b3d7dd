"""The HTTP server, and the bridge from it to the Flask application."""
